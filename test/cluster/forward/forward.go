// Package forward copies TCP connections from the host into the network namespace of a cluster.
package forward

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// Serve accepts connections until listener is closed, and connects each with the connection
// that dial returns. If dial fails, Serve closes the connection. The client then sees the
// same as with a server that is down, and can retry.
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

// join copies in both directions until both sides have finished. It forwards the end of one
// direction, and keeps the other direction open.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			if _, err := io.Copy(way[0], way[1]); err != nil {
				// The connection was reset: nothing sent in the other direction would arrive.
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
