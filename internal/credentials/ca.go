package credentials

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// authorities checks a file of certificate authorities, and returns its
// certificates alone.
func authorities(text []byte, now time.Time) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, errors.New(
				"the file holds a private key, which everybody who may read ConfigMaps would see: name a file with certificates alone",
			)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
			return nil, errors.New("the file holds something that is no certificate")
		case now.After(c.NotAfter):
			return nil, fmt.Errorf(
				"the certificate of %q expired at %s",
				c.Subject,
				c.NotAfter.UTC().Format(time.RFC3339),
			)
		case !c.IsCA:
			return nil, fmt.Errorf(
				"the certificate of %q is a server's and no authority's: name the file of the authority that signed it",
				c.Subject,
			)
		}
		blocks = append(blocks, &pem.Block{Type: block.Type, Bytes: block.Bytes})
	}
	if len(blocks) == 0 {
		return nil, errors.New("the file holds no certificate in PEM")
	}
	return blocks, nil
}

// addAuthorities returns PEM text with those certificates added that it lacks.
func addAuthorities(text string, blocks []*pem.Block) string {
	held := map[string]bool{}
	for rest := []byte(text); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		held[string(block.Bytes)] = true
	}
	var out bytes.Buffer
	out.WriteString(text)
	if text != "" && !strings.HasSuffix(text, "\n") {
		out.WriteByte('\n')
	}
	for _, block := range blocks {
		if !held[string(block.Bytes)] {
			out.Write(pem.EncodeToMemory(block))
		}
	}
	return out.String()
}
