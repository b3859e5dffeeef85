package spec

import (
	"context"
	"errors"
	"reflect"
	"testing"
)

func TestMayNeedNetwork(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"nothing to wait for":                 {`{}`, false},
		"a dependency":                        {`{"startDeps":["a"]}`, true},
		"a stop dependency":                   {`{"stopDeps":["a"]}`, true},
		"a container to restart with":         {`{"restartWith":["a"],"restart":{"policy":"Always"}}`, true},
		"a hold":                              {`{"holdFor":["a"]}`, true},
		"records know all":                    {`{"startDeps":["a"],"stopDeps":["a"],"holdFor":["a"],"wrapped":["a"],"source":"local"}`, false},
		"probes that are no requests":         {`{"readyProbes":[{"exec":{"command":["true"]}},{"tcpSocket":{"port":1}},{"grpc":{"port":1}}]}`, false},
		"an HTTPS probe":                      {`{"readyProbes":[{"tcpSocket":{"port":1}},{"httpGet":{"port":1,"scheme":"HTTPS"}}]}`, true},
		"one that may be redirected to HTTPS": {`{"readyProbes":[{"httpGet":{"port":1}}]}`, true},
		"a request":                           {`{"source":"local","stopHTTP":"POST http://127.0.0.1:1/quit"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if have := s.MayNeedNetwork(); have != tt.want {
				t.Errorf("may need the network: %t, want %t", have, tt.want)
			}
		})
	}
}

// TestEveryRequestMayNeedNetwork sets each field that can contain a request,
// including those of later versions.
func TestEveryRequestMayNeedNetwork(t *testing.T) {
	get := Handler{HTTP: &HTTPGet{Port: 1}}
	found := 0
	for i := range reflect.TypeFor[Spec]().NumField() {
		var s Spec
		f := reflect.ValueOf(&s).Elem().Field(i)
		switch f.Interface().(type) {
		case *Handler:
			f.Set(reflect.ValueOf(&get))
		case *Probe:
			f.Set(reflect.ValueOf(&Probe{Handler: get}))
		case []Probe:
			f.Set(reflect.ValueOf([]Probe{{}, {Handler: get}}))
		case *Request:
			f.Set(reflect.ValueOf(&Request{}))
		case []Request:
			f.Set(reflect.ValueOf([]Request{{}}))
		default:
			continue
		}
		found++
		if !s.MayNeedNetwork() {
			t.Errorf("%s is not looked at", reflect.TypeFor[Spec]().Field(i).Name)
		}
	}
	if found < 8 {
		t.Errorf("%d fields hold requests, want 8 at least", found)
	}
}

func TestEndpointsMayNeedNetwork(t *testing.T) {
	for address, want := range map[string]bool{
		"http://h/": true, "https://h/": true, "tcp://h:1": false, "grpc://h:1": false, "file:///http": false, "dns://https": false,
	} {
		s := with(func(s *Spec) { s.StartEndpoints = []Endpoint{{"tcp://h:2", false}, {address, false}} })
		if have := s.MayNeedNetwork(); have != want {
			t.Errorf("a start dependency on %s may need the network: %t, want %t", address, have, want)
		}
		s = with(func(s *Spec) { s.ReadyEndpoints = map[string]string{"a": "tcp://h:2", "b": address} })
		if have := s.MayNeedNetwork(); have != want {
			t.Errorf("a container that is ready by %s may need the network: %t, want %t", address, have, want)
		}
	}
}

// TestOnlyTheSourceLocalNeedsNoStatus sets each list of containers with each source.
func TestOnlyTheSourceLocalNeedsNoStatus(t *testing.T) {
	for name, set := range map[string]func(*Spec){
		"start dependencies": func(s *Spec) { s.StartDeps = []Dependency{{"a", Ready, false}} },
		"stop dependencies":  func(s *Spec) { s.StopDeps = []Dependency{{"a", Exited, false}} },
		"restartWith":        func(s *Spec) { s.RestartWith = []string{"a"} },
		"holdFor":            func(s *Spec) { s.HoldFor = []string{"a"} },
	} {
		for source, want := range map[Source]bool{SourceAuto: true, SourcePod: true, SourceLocal: false} {
			s := with(func(s *Spec) { set(s); s.Source = source; s.Wrapped = []string{"a"} })
			if have := s.MayNeedNetwork(); have != want {
				t.Errorf("%s with source %s: may need the network: %t, want %t", name, source, have, want)
			}
		}
	}
	local := with(func(s *Spec) {
		s.Source = SourceLocal
		s.Delegated = []Delegation{{Container: "p", Request: Request{"GET", "http://h/"}}}
	})
	if !local.MayNeedNetwork() {
		t.Error("a delegated stop is a request with each source")
	}
}

func TestFailuresOfTheNetworkProgram(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	line := errors.New("line 3 is wrong")
	for name, tt := range map[string]struct {
		ctx  context.Context
		line error
		code int
		want string // "": no failure
	}{
		"it has not":                   {t.Context(), nil, 0, ""},
		"its exit code":                {t.Context(), nil, 64, "koordinator-net: exit code 64"},
		"a signal":                     {t.Context(), nil, -1, "koordinator-net: exit code -1"},
		"a line before the exit code":  {t.Context(), line, 137, "line 3 is wrong"},
		"a line without an exit code":  {t.Context(), line, 0, "line 3 is wrong"},
		"the end before all others":    {ended, line, 137, "context canceled"},
		"the end, although it is over": {ended, nil, 0, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			err := NetworkFailure(tt.ctx, tt.line, tt.code)
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("have %v, want %q", err, tt.want)
			}
		})
	}
}
