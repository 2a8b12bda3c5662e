package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestCarry holds that each piece takes the same time, the first one longer, and that pieces do not
// wait for each other.
func TestCarry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, in := net.Pipe()
		out, server := net.Pipe()
		go carry(out, in, 10*time.Millisecond, 20*time.Millisecond)
		began := time.Now()
		for _, tt := range []struct {
			send []string
			want time.Duration
		}{
			{[]string{"first"}, 30 * time.Millisecond},
			{[]string{"one"}, 40 * time.Millisecond},
			{[]string{"two", "at once"}, 50 * time.Millisecond},
		} {
			for _, text := range tt.send {
				if _, err := client.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			for _, text := range tt.send {
				got := make([]byte, 100)
				n, err := server.Read(got)
				if took := time.Since(began); err != nil || string(got[:n]) != text || took != tt.want {
					t.Errorf("read %q (%v) after %s, want %q after %s", got[:n], err, took, text, tt.want)
				}
			}
		}
		client.Close()
		if _, err := server.Read(make([]byte, 1)); err == nil {
			t.Error("the other end stays open when one is closed")
		}
	})
}
