package diagnosis

import "slices"

// Kind is a kind of cause.
type Kind struct {
	// ID names it for programs, and is its anchor in docs/troubleshooting.md.
	ID string
	// Title says what it is, as a clause.
	Title string
	// Remedy says how to fix it, where nothing is known of the single case.
	Remedy string
}

// Docs is the page that explains the kinds; an anchor follows.
const Docs = "https://github.com/tekgate/tekgate/blob/main/docs/troubleshooting.md"

// Hint is where to read about a cause.
func (c Cause) Hint() string { return Docs + "#" + c.ID }

// Kinds are all kinds of causes. Those nearer to the root come first: where two are found
// for a run, the first explains the second.
var Kinds = slices.Concat(controlKinds, referenceKinds, rewritingKinds, imageKinds, podKinds, stepKinds, lastKinds)

var controlKinds = []Kind{
	{"controller-missing", "Tekton's controller does not work on the run",
		"run `tekgate check`: it says why the controller does not run"},
	{"run-pending", "the run waits because spec.status or spec.managedBy says so",
		"remove spec.status, or see what manages the run"},
	{"resolver-missing", "Tekton's resolvers do not run, so nothing fetches the Task or Pipeline",
		"run `tekgate check`: it says why the resolvers do not run"},
	{"webhook-unreachable", "the API server cannot call an admission webhook",
		"see whether the Pods of the webhook's Service run, and run `tekgate check`"},
	{"webhook-tekgate", "Tekgate's webhook refused an object",
		"the message names the rule: `tekgate lint` explains it, and validator/RULES.md describes it"},
	{"webhook-tekton", "Tekton's webhook refused an object",
		"correct the field that the message names"},
	{"webhook-denied", "another webhook or policy refused an object",
		"ask the owner of the webhook or policy that the message names"},
}

var referenceKinds = []Kind{
	{"task-missing", "a Task, StepAction or Pipeline does not exist",
		"create it, or correct the reference"},
	{"resolver-timeout", "a remote Task or Pipeline was not fetched in time",
		"see whether the cluster reaches the server, or raise the resolver's fetch-timeout"},
	{"resolution-failed", "a remote Task or Pipeline could not be fetched",
		"correct the resolver's params, or give it the credentials that it needs"},
	{"verification-failed", "the signature of a Task or Pipeline is not trusted",
		"sign it, or correct the VerificationPolicy"},
	{"param-wrong", "a param is missing, or has a wrong type or value",
		"give the run the params that its Task or Pipeline declares"},
	{"workspace-missing", "a workspace is not bound",
		"bind the workspace in the run's spec.workspaces"},
	{"service-account-missing", "the run's ServiceAccount does not exist",
		"create the ServiceAccount, or name another in the run"},
	{"secret-missing", "a Secret does not exist", "create the Secret, or correct the reference"},
	{"config-map-missing", "a ConfigMap does not exist", "create the ConfigMap, or correct the reference"},
	{"key-missing", "a Secret or ConfigMap lacks a key", "add the key, or correct the reference"},
	{"claim-missing", "a PersistentVolumeClaim does not exist", "create the claim, or correct the reference"},
	{"spec-invalid", "Tekton rejects what the run asks for", "correct what the message names"},
}

var rewritingKinds = []Kind{
	{"image-not-rewritten", "an image was not rewritten to the mirror",
		"remove what excludes the image, and start the run again"},
}

var imageKinds = []Kind{
	{"injected-image-missing", "an image that Tekton adds to each Pod cannot be pulled; Tekton does not report it",
		"run `tekgate images verify`, and fill the mirror with `tekgate images copy`"},
	{"sidecar-image-missing", "the image of a sidecar cannot be pulled; Tekton does not report it",
		"push the image, or correct its name"},
	{"entrypoint-certificate", "Tekton's controller does not trust the registry of a step's image",
		"give Tekton the registry's authority with `tekgate credentials ca`"},
	{"entrypoint-credentials", "the registry refuses Tekton's controller the image of a step",
		"list a Secret for the registry under imagePullSecrets of the run's ServiceAccount, or give the step a command"},
	{"entrypoint-unreachable", "Tekton's controller cannot reach the registry of a step's image",
		"use an image of the mirror, or give the step a command: then Tekton does not ask the registry"},
	{"entrypoint-image-missing", "Tekton's controller does not find the image of a step in its registry",
		"push the image, or correct its name"},
	{"image-name-invalid", "an image's name is not valid", "correct the image's name"},
	{"image-platform", "an image is not there for the node's platform",
		"push the image for the platform of the nodes, or select nodes of another with a nodeSelector"},
	{"image-digest", "the registry has an image under another digest",
		"correct the digest, or push the image again"},
	{"image-credentials", "the registry refuses the kubelet an image",
		"write a pull Secret with `tekgate credentials pull`"},
	{"image-certificate", "the nodes do not trust the certificate of a registry",
		"give the nodes' container runtime the registry's authority: the kubelet does not read Tekton's"},
	{"image-unreachable", "the nodes cannot reach the registry of an image",
		"use an image of the mirror: `tekgate explain IMAGE` says where it is"},
	{"image-rate-limit", "a registry limits how often images may be pulled",
		"pull with an account (`tekgate credentials pull`), or use an image of the mirror"},
	{"image-missing", "the registry lacks an image", "push the image, or correct its name"},
	{"image-pull", "the kubelet cannot pull an image, for another reason", "see the message"},
}

var podKinds = []Kind{
	{"quota-exceeded", "a ResourceQuota does not allow the Pod",
		"free resources, raise the quota, or give steps the resources that it demands"},
	{"limit-range", "a LimitRange does not allow the Pod",
		"change the steps' resources or the LimitRange: it counts for the containers that Tekton adds, too"},
	{"pod-security", "Pod Security or a security context constraint does not allow the Pod",
		"set the securityContext that the message asks for, or the feature flag set-security-context"},
	{"pod-forbidden", "Tekton may not create the Pod", "see the message"},
	{"claims-on-two-nodes", "volumes of the run are bound to different nodes",
		"use one claim for all workspaces of the run, a storage class with ReadWriteMany, or coschedule: disabled"},
	{"claim-pending", "a PersistentVolumeClaim is not bound",
		"`kubectl describe pvc` says why: often the storage class does not exist, or nothing provisions it"},
	{"volume-failed", "a volume cannot be mounted", "see the message"},
	{"pod-sandbox", "the node cannot create the Pod's sandbox",
		"see the node's container runtime and network plugin"},
	{"node-selector", "no node has the labels that the Pod asks for",
		"correct nodeSelector or affinity in the podTemplate, or label a node"},
	{"node-resources", "no node has enough free resources", "ask for less, wait, or add a node"},
	{"node-taint", "all nodes have taints that the Pod does not tolerate",
		"add a toleration to the podTemplate, or remove the taint"},
	{"scheduling-gated", "a scheduling gate holds the Pod back", "see which controller removes the gate"},
	{"unschedulable", "the Pod is not scheduled, for another reason", "see the message"},
	{"root-image", "an image runs as root, where set-security-context or runAsNonRoot forbids it",
		"use an image with a numeric user, set runAsUser in the step's securityContext, " +
			"or set the feature flag set-security-context to \"false\""},
	{"command-missing", "a container's command does not exist in its image",
		"correct the command, or use an image that has it"},
	{"container-config", "a container cannot be created", "see the message"},
}

var stepKinds = []Kind{
	{"oom-killed", "a container used more memory than its limit", "raise the memory limit of the step"},
	{"pod-evicted", "the node evicted the Pod", "free the resource that the message names, or request it"},
	{"pod-deleted", "the Pod was deleted while the run went on",
		"start the run again; an audit log of the API server says who deleted it"},
	{"node-lost", "the node was shut down or lost", "start the run again"},
	{"binary-platform", "a program is for another architecture than the node",
		"use an image that has the node's platform"},
	{"push-unauthorized", "the registry refuses a push",
		"write a Secret with `tekgate credentials registry`"},
	{"git-credentials", "a Git server refuses a step",
		"write a Secret with `tekgate credentials git`"},
	{"git-host-key", "a step does not know the Git server's host key",
		"write a Secret with known_hosts with `tekgate credentials git --known-hosts`"},
	{"registry-certificate", "a step does not trust the certificate of a server",
		"give steps the authority with the mutator's rule ca-bundle"},
	{"base-image", "Kaniko cannot read a base image",
		"name the base image by the mirror, or set the mutator's kaniko.registryMap"},
	{"dockerfile-missing", "Kaniko does not find the Dockerfile",
		"correct --dockerfile and --context"},
	{"kaniko-run-failed", "a command of the Dockerfile failed", "correct the command: the step's log shows its output"},
	{"kaniko-build-failed", "Kaniko cannot build the image, for another reason", "correct what the message names"},
	{"push-failed", "a push failed, for another reason than credentials", "see the message"},
	{"host-unreachable", "a step cannot reach a server",
		"set a proxy or mirror for steps with the mutator's rule env"},
	{"disk-full", "a disk is full", "free space on the node, or use a larger volume"},
	{"result-too-large", "a step's results are too large",
		"write less into results, or set results-from: sidecar-logs"},
	{"step-timeout", "a step took longer than its timeout", "raise the step's timeout"},
}

var lastKinds = []Kind{
	{"run-timeout", "the run took longer than its timeout, and nothing else is known",
		"raise the run's timeout"},
	{"cancelled", "the run was cancelled", "start it again, if it was not on purpose"},
	{"exit-code", "a step ended with an error of its own program", "see the step's log"},
	{"unknown", "Tekton reports a failure that this version does not know", "see the message"},
}

var ranks = func() map[string]int {
	all := map[string]int{}
	for i, kind := range Kinds {
		all[kind.ID] = i
	}
	return all
}()

func rank(id string) int { return ranks[id] }

func kindOf(id string) Kind { return Kinds[ranks[id]] }
