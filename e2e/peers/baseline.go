package peers

import (
	"context"
	"net"
	"path/filepath"
)

// StartBaseline runs a handler of package baseline, "null" or "kubebuilder", in a process
// of its own. program serves it when it gets the arguments
//
//	serve <kind> --dir <directory with tls.crt, tls.key and answer.json> --address <host:port>
//
// answer is the answer of null.
func StartBaseline(ctx context.Context, program, kind string, answer []byte, o Options) (*Server, error) {
	dir, err := directory(map[string][]byte{
		"tls.crt": o.Identity.Certificate, "tls.key": o.Identity.Key, "answer.json": answer,
	})
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", ports[0])
	args := []string{"serve", kind, "--dir", filepath.Clean(dir), "--address", address}
	s, err := launch(ctx, kind, program, dir, nil, args)
	if err != nil {
		return nil, err
	}
	s.Address, s.URL, s.CA = address, "https://"+address+"/", o.Identity.CA
	return s.orStop(s.works(ctx, s.URL))
}
