package spec

import (
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

// TestEveryRequestMayNeedNetwork sets each field that can hold a request, those
// of later versions too.
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
