// Package forward copies TCP connections from the host into the network namespace of a cluster.
package forward

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// Serve accepts connections until listener is closed and connects each with what dial returns. A connection whose dial fails is closed:
// the client then sees what it would see of a server that is down, and tries again if it wants.
func Serve(listener net.Listener, dial func() (net.Conn, error)) error {
	for {
		client, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			defer client.Close()
			server, err := dial()
			if err != nil {
				return
			}
			defer server.Close()
			join(client, server)
		}()
	}
}

// join copies both ways until both sides have finished. The end of one direction is passed on, not taken for the end of the other.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			if _, err := io.Copy(way[0], way[1]); err != nil {
				// A reset: nothing sent the other way would arrive.
				_ = a.Close()
				_ = b.Close()
				return
			}
			if half, ok := way[0].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
}
