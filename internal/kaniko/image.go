package kaniko

// Commands are the programs that its images start.
var Commands = []string{"/kaniko/executor", "/kaniko/warmer"}

// Upstream are the ends, by whole components, of the repositories whose images
// start Kaniko by the path that they have had from the first release on. Mirrors
// put hosts and projects before them.
var Upstream = []string{
	"kaniko-project/executor", "kaniko-project/warmer", "kaniko/executor", "kaniko/warmer",
	"kaniko-executor", "kaniko-warmer", "kaniko-project-executor", "kaniko-project-warmer",
	"osscontainertools/kaniko", "osscontainertools/kaniko-warmer", "martizih/kaniko",
}

// Origins are the repositories that Kaniko's projects publish such images in.
var Origins = []string{
	"gcr.io/kaniko-project/executor", "gcr.io/kaniko-project/warmer",
	"ghcr.io/osscontainertools/kaniko", "ghcr.io/osscontainertools/kaniko-warmer", "docker.io/martizih/kaniko",
}

// Rebuilt are those of the images that others build of it, each in its own way.
var Rebuilt = []string{"bitnami/kaniko", "bitnamilegacy/kaniko", "chainguard/kaniko"}
