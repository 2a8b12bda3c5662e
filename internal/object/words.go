package object

import (
	"fmt"
	"strings"
)

// Words returns every word of the commands and arguments of a workload's containers and every value
// of their variables, as a place that an image reference could be. The part after the = of a flag is
// a word of its own. Most are no images: it is for callers that recognize one by its text.
func Words(obj map[string]any) []*ImageField {
	spec, at := podSpec(obj)
	w := imageWalk{}
	for _, list := range []string{"initContainers", "containers"} {
		each(spec[list], at+"."+list, w.words)
	}
	return w.fields
}

func (w *imageWalk) words(c map[string]any, at string) {
	for _, list := range []string{"command", "args"} {
		words, _ := c[list].([]any)
		flag := ""
		for i := range words {
			word, _ := words[i].(string)
			before, value, joined := strings.Cut(word, "=")
			isFlag := strings.HasPrefix(word, "-")
			switch where := fmt.Sprintf("%s.%s[%d]", at, list, i); {
			case isFlag && joined:
				w.add(where, before, value, func(v string) { words[i] = before + "=" + v })
			case !isFlag:
				w.add(where, flag, word, func(v string) { words[i] = v })
			}
			flag = ""
			if isFlag && !joined {
				flag = word
			}
		}
	}
	each(c["env"], at+".env", func(env map[string]any, at string) { w.key(env, "value", at) })
}
