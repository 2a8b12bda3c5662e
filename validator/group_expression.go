package validator

// expressionRules are about what stands in $(…) and in CEL: what is misspelt, never
// filled in, or filled in where it does harm.
var expressionRules = []*Rule{}
