// Command shop is the only program in two images of the end-to-end tests: a registry, and
// an application whose image defines its command.
//
//	shop registry        a registry on port 5000, behind a password
//	shop run WORD…       prints the words; with the word "wait" it listens on port
//	                     5001 and ends by a signal
//	shop env NAME…       prints these variables of its environment
//	shop notify          reports that it is ready (READY=1 to NOTIFY_SOCKET) once
//	                     somebody has connected to port 5002, and ends by a signal
//	shop mesh            a mesh's proxy
//	shop inject DIR      a webhook that adds it to pods, with the certificate in DIR
//	shop archive DIR     writes the images' archives for the node, named as the
//	                     registry names them
//
// Nodes never pull from this registry, because they have the archives. Its images have no
// content and are only for lookups.
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

// Host is the address of the registry's Service. The test cluster has no DNS.
const Host = "10.96.77.77:5000"

// The credentials for the registry.
const user, password = "team", "secret"

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: shop registry | run WORD… | env NAME… | notify | mesh | inject DIR | archive DIR")
	}
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "registry":
		err = serve()
	case "run":
		run(args)
	case "env":
		for _, name := range args {
			fmt.Printf("%s=%s\n", name, os.Getenv(name))
		}
	case "notify":
		err = notify()
	case "mesh":
		err = mesh()
	case "inject":
		err = injectProxy(args[0])
	case "archive":
		err = archive(args[0])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// serve runs the registry. It prints the requests to stdout.
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

// run runs the application.
func run(words []string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	fmt.Printf("runs %q\n", words)
	if !slices.Contains(words, "wait") {
		return
	}
	listener, err := net.Listen("tcp", ":5001") // a listener shows that signals are handled
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("got", <-signals)
	_ = listener.Close()
}

// notify runs a service that is ready after the first connection.
func notify() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	listener, err := net.Listen("tcp", ":5002")
	if err != nil {
		return err
	}
	fmt.Println("listens")
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	_ = conn.Close()
	manager, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	if _, err := manager.Write([]byte("STATUS=up\nREADY=1")); err != nil {
		return err
	}
	fmt.Println("got", <-signals)
	return nil
}
