// Command shop is the only program of two images of the end-to-end tests: a
// registry, and an application whose image says what it runs.
//
//	shop registry        a registry on port 5000, behind a password
//	shop run WORD…       prints the words; with the word "wait" it listens on port
//	                     5001 and ends by a signal
//	shop archive DIR     writes the images' archives for the node, named as the
//	                     registry names them
//
// Nodes never pull from this registry: they have the archives. Its images are
// there to be looked up, and have no content.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Host is where the registry's Service is. The test cluster has no DNS.
const Host = "10.96.77.77:5000"

// Who may read the registry.
const user, password = "team", "secret"

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: shop registry | run WORD… | archive DIR")
	}
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "registry":
		err = serve()
	case "run":
		run(args)
	case "archive":
		err = archive(args[0])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// serve is the registry. It lists what it is asked on stdout.
func serve() error {
	inner := registry.New()
	if err := fill(inner); err != nil {
		return err
	}
	fmt.Println("the registry serves")
	return http.ListenAndServe(":5000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		fmt.Println(r.Method, r.URL.Path, name)
		if name != user || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
}

// run is the application.
func run(words []string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	fmt.Printf("runs %q\n", words)
	if !slices.Contains(words, "wait") {
		return
	}
	listener, err := net.Listen("tcp", ":5001") // ready: signals are handled
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("got", <-signals)
	_ = listener.Close()
}
