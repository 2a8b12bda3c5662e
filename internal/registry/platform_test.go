package registry

import (
	"strings"
	"testing"
)

func TestParsePlatform(t *testing.T) {
	for written, want := range map[string]string{
		"linux/amd64": "linux/amd64", "LINUX/AMD64": "linux/amd64", "linux/x86_64": "linux/amd64",
		"linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3", "linux/aarch64": "linux/arm64",
		"linux/arm64/v8": "linux/arm64", "linux/arm64/v9": "linux/arm64/v9", "linux/arm": "linux/arm",
		"linux/arm/v7": "linux/arm/v7", "linux/arm/7": "linux/arm/v7", "linux/i386": "linux/386",
		"windows/amd64": "windows/amd64", "freebsd/amd64": "freebsd/amd64", "linux/mips64le": "linux/mips64le",
		"linux/riscv64/rva23u64": "linux/riscv64/rva23u64",
	} {
		got, err := ParsePlatform(written)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", written, got, err, want)
		}
	}
	for written, want := range map[string]string{
		"":                            "write an operating system and an architecture",
		"linux":                       "write an operating system and an architecture",
		"amd64":                       "write an operating system and an architecture",
		"/amd64":                      "write an operating system and an architecture",
		"linux/":                      "write an operating system and an architecture",
		"linux/amd64,linux/arm64":     "write an operating system and an architecture",
		"linux/*":                     "write an operating system and an architecture",
		" linux/amd64":                "write an operating system and an architecture",
		"linux/arm/v7/x":              "write an operating system and an architecture",
		"linux/amd46":                 `the architecture amd46 is not known: did you mean "amd64"?`,
		"linux/quantum":               "the architecture quantum is not known: known are amd64, arm64",
		"linus/amd64":                 `the operating system linus is not known: did you mean "linux"?`,
		"amd64/linux":                 "the operating system amd64 is not known: nodes have linux or windows",
		"linux/arm/v9":                "arm has no variant v9: leave it out, or write v5, v6, v7 or v8",
		"windows(10.0.17763)/amd64":   "leave out the version",
		"linux/amd64/v8":              "amd64 has no variant v8",
		"linux/arm64/v7":              "arm64 has no variant v7: leave it out, or write v8 or v9",
		"linux/linux":                 "the architecture linux is not known",
		"linux/amd64\nlinux/arm64/v8": "write an operating system and an architecture",
	} {
		got, err := ParsePlatform(written)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q, %v; want an error with %q", written, got, err, want)
		}
	}
}
