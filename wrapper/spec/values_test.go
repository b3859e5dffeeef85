package spec

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDependenciesAreReadFromEveryForm(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		kind kind
		want []Dependency
	}{
		"a name alone, of a start":           {`"a"`, startDep, []Dependency{{"a", Ready, false}}},
		"a name alone, of a stop":            {`"a"`, stopDep, []Dependency{{"a", Exited, false}}},
		"each condition of a start":          {`"a=started,b=ready,c=exited,d=succeeded"`, startDep, []Dependency{{"a", Started, false}, {"b", Ready, false}, {"c", Exited, false}, {"d", Succeeded, false}}},
		"each condition of a stop":           {`"a=exited,b=succeeded,c=failed"`, stopDep, []Dependency{{"a", Exited, false}, {"b", Succeeded, false}, {"c", Failed, false}}},
		"a question mark behind the name":    {`"a?"`, startDep, []Dependency{{"a", Ready, true}}},
		"or behind the condition":            {`"a=exited?"`, startDep, []Dependency{{"a", Exited, true}}},
		"or between the two":                 {`"a?=exited"`, startDep, []Dependency{{"a", Exited, true}}},
		"or twice":                           {`"a?=exited?"`, startDep, []Dependency{{"a", Exited, true}}},
		"spaces count for nothing":           {`" a , b = exited , c ? "`, startDep, []Dependency{{"a", Ready, false}, {"b", Exited, false}, {"c", Ready, true}}},
		"a list":                             {` [ "a" , "b=exited" ] `, startDep, []Dependency{{"a", Ready, false}, {"b", Exited, false}}},
		"an empty list":                      {`[]`, startDep, nil},
		"a comma in a list is of the name":   {`["a,b"]`, startDep, []Dependency{{"a,b", Ready, false}}},
		"names that YAML reads as no text":   {`[1e3,true,"on"]`, startDep, []Dependency{{"1e3", Ready, false}, {"true", Ready, false}, {"on", Ready, false}}},
		"one such name":                      {`7`, stopDep, []Dependency{{"7", Exited, false}}},
		"an object":                          {`[{"container":"a"}]`, startDep, []Dependency{{"a", Ready, false}}},
		"an object of a stop":                {`[{"container":"a"}]`, stopDep, []Dependency{{"a", Exited, false}}},
		"an object with all":                 {`[{"optional":true,"condition":"started","container":"a"}]`, startDep, []Dependency{{"a", Started, true}}},
		"a stop that is not optional":        {`[{"container":"a","optional":false}]`, stopDep, []Dependency{{"a", Exited, false}}},
		"an endpoint's field before its ?":   {`[{"optional":false,"endpoint":"dns://a?"}]`, startDep, []Dependency{{"dns://a", Ready, false}}},
		"an endpoint's field after its ?":    {`[{"endpoint":"dns://a?","optional":false}]`, startDep, []Dependency{{"dns://a", Ready, false}}},
		"an endpoint that is optional twice": {`[{"optional":true,"endpoint":"dns://a?"}]`, startDep, []Dependency{{"dns://a", Ready, true}}},
		"an endpoint, optional by its field": {`[{"endpoint":"dns://a","optional":true}]`, startDep, []Dependency{{"dns://a", Ready, true}}},
		"the same, in the other order":       {`[{"optional":true,"endpoint":"dns://a"}]`, startDep, []Dependency{{"dns://a", Ready, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			have, err := parseDeps([]byte(tt.text), tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestWrongDependenciesAreRejected(t *testing.T) {
	const form = "Write a container, several containers separated by commas, or a list"
	const starts, stops = "Use one of started, ready, exited, succeeded", "Use one of exited, succeeded, failed"
	const write, name = "Write NAME or NAME=CONDITION", `Use lowercase letters, digits and "-"`
	const field = "Use container, endpoint, condition or optional"
	const set = `Set container, for example {"container": "proxy"}`
	const either = "Remove the container and the condition, or the endpoint"
	refuses(t, map[string]refusal{
		"an object in place of a list": {`{"startDeps":{"a":"ready"}}`, Problems{{WrongForm, "startDeps", "", `{"a":"ready"} is not a list of dependencies`, form}}},
		"null":                         {`{"stopDeps":null}`, Problems{{WrongForm, "stopDeps", "", "null is not a list of dependencies", form}}},
		"a long object is cut":         {`{"stopDeps":{"a":"01234567890123456789012345678901234567890"}}`, Problems{{WrongForm, "stopDeps", "", `{"a":"0123456789012345678901234567890123 is not a list of dependencies`, form}}},
		"a list in a list":             {`{"startDeps":["a",["b"]]}`, Problems{{WrongForm, "startDeps", `["b"]`, `[1]: ["b"] is not a single value`, "Write one value"}}},
		"null in a list":               {`{"startDeps":[null]}`, Problems{{WrongForm, "startDeps", "null", "[0]: null is not a single value", "Write one value"}}},
		"nothing":                      {`{"startDeps":""}`, Problems{{InvalidDependency, "startDeps", "", `"" names no container`, write}}},
		"nothing between commas":       {`{"startDeps":"a,,b,"}`, Problems{{InvalidDependency, "startDeps", "", `"" names no container`, write}, {InvalidDependency, "startDeps", "", `"" names no container`, write}}},
		"a condition without name":     {`{"startDeps":"=ready"}`, Problems{{InvalidDependency, "startDeps", "=ready", `"=ready" names no container`, write}}},
		"a question mark alone":        {`{"startDeps":"?"}`, Problems{{InvalidDependency, "startDeps", "?", `"?" names no container`, write}}},
		"no condition behind =":        {`{"startDeps":"a="}`, Problems{{UnknownCondition, "startDeps", "", `"a=": "" is not a valid condition`, starts}}},
		"a condition of stops":         {`{"startDeps":"a=failed"}`, Problems{{UnknownCondition, "startDeps", "failed", `"a=failed": "failed" is not a valid condition`, starts}}},
		"conditions of starts": {`{"stopDeps":"a=started,b=ready"}`, Problems{
			{UnknownCondition, "stopDeps", "started", `"a=started": "started" is not a valid condition`, stops},
			{UnknownCondition, "stopDeps", "ready", `"b=ready": "ready" is not a valid condition`, stops},
		}},
		"a condition in capitals":      {`{"startDeps":"a=Ready"}`, Problems{{UnknownCondition, "startDeps", "Ready", `"a=Ready": "Ready" is not a valid condition`, starts}}},
		"two conditions":               {`{"startDeps":"a=ready=exited"}`, Problems{{UnknownCondition, "startDeps", "ready=exited", `"a=ready=exited": "ready=exited" is not a valid condition`, starts}}},
		"an optional stop":             {`{"stopDeps":"a?"}`, Problems{{OptionalStop, "stopDeps", "a?", `"a?": a stop dependency cannot be optional`, `Remove the "?"`}}},
		"one with a condition":         {`{"stopDeps":["a=exited?"]}`, Problems{{OptionalStop, "stopDeps", "a=exited?", `[0]: "a=exited?": a stop dependency cannot be optional`, `Remove the "?"`}}},
		"an optional stop's field":     {`{"stopDeps":[{"container":"a","optional":"true"}]}`, Problems{{OptionalStop, "stopDeps", "true", "[0]: optional: a stop dependency cannot be optional", "Remove it"}}},
		"neither true nor false":       {`{"startDeps":[{"container":"a","optional":"yes"}]}`, Problems{{UnknownWord, "startDeps", "yes", `[0]: optional: "yes" is not a valid value`, "Use true or false"}}},
		"a condition's field":          {`{"startDeps":[{"container":"a","condition":"up"}]}`, Problems{{UnknownCondition, "startDeps", "up", `[0]: condition: "up" is not a valid condition`, starts}}},
		"a field of no dependency":     {`{"startDeps":[{"container":"a","timeout":"1s"}]}`, Problems{{UnknownField, "startDeps", "timeout", "[0]: timeout: a dependency has no field of this name", field}}},
		"a field twice":                {`{"startDeps":[{"container":"a","container":"a"}]}`, Problems{{DuplicateKey, "startDeps", "container", "[0]: container: the field is set twice", "Keep one"}}},
		"a field that is a list":       {`{"startDeps":[{"container":"a","condition":["ready"]}]}`, Problems{{WrongForm, "startDeps", `["ready"]`, `[0]: condition: ["ready"] is not a single value`, "Write one value"}}},
		"an object without container":  {`{"stopDeps":[{}]}`, Problems{{InvalidDependency, "stopDeps", "", "[0]: a dependency names no container", set}}},
		"an object with an empty one":  {`{"stopDeps":[{"container":""}]}`, Problems{{InvalidDependency, "stopDeps", "", "[0]: a dependency names no container", set}}},
		"an endpoint and a container":  {`{"startDeps":[{"endpoint":"dns://a","container":"a"}]}`, Problems{{InvalidEndpoint, "startDeps", "", "[0]: an endpoint has neither a container nor a condition", either}}},
		"an endpoint and a condition":  {`{"startDeps":[{"condition":"ready","endpoint":"dns://a"}]}`, Problems{{InvalidEndpoint, "startDeps", "", "[0]: an endpoint has neither a container nor a condition", either}}},
		"an endpoint as the container": {`{"startDeps":[{"container":"dns://a"}]}`, Problems{{InvalidEndpoint, "startDeps", "", "[0]: container names a dns:// endpoint", "Set endpoint instead"}}},
		"all fields of an object": {`{"startDeps":["a",{"condition":"up","optional":"yes","when":"x"}]}`, Problems{
			{UnknownCondition, "startDeps", "up", `[1]: condition: "up" is not a valid condition`, starts},
			{UnknownWord, "startDeps", "yes", `[1]: optional: "yes" is not a valid value`, "Use true or false"},
			{UnknownField, "startDeps", "when", "[1]: when: a dependency has no field of this name", field},
			{InvalidDependency, "startDeps", "", "[1]: a dependency names no container", set},
		}},
		"names that Kubernetes would not accept": {`{"startDeps":["A","a_b","a.b","-a","a-","ä","a b"]}`, Problems{
			{InvalidDependency, "startDeps", "A", `"A" is not a container name`, name},
			{InvalidDependency, "startDeps", "a_b", `"a_b" is not a container name`, name},
			{InvalidDependency, "startDeps", "a.b", `"a.b" is not a container name`, name},
			{InvalidDependency, "startDeps", "-a", `"-a" is not a container name`, name},
			{InvalidDependency, "startDeps", "a-", `"a-" is not a container name`, name},
			{InvalidDependency, "startDeps", "ä", `"ä" is not a container name`, name},
			{InvalidDependency, "startDeps", "a b", `"a b" is not a container name`, name},
		}},
		"a container and its own":   {`{"container":"a","startDeps":"b,a?"}`, Problems{{OnItself, "startDeps", "a", `container "a" cannot depend on itself`, "Remove the dependency"}}},
		"a container three times":   {`{"stopDeps":"a,b,a=failed,a"}`, Problems{{NamedTwice, "stopDeps", "a", `container "a" is listed twice`, "Keep one condition"}, {NamedTwice, "stopDeps", "a", `container "a" is listed twice`, "Keep one condition"}}},
		"a name twice that is none": {`{"stopDeps":"A,A"}`, Problems{{InvalidDependency, "stopDeps", "A", `"A" is not a container name`, name}, {InvalidDependency, "stopDeps", "A", `"A" is not a container name`, name}}},
		"all others, in a wrapper":  {`{"startDeps":"*"}`, Problems{{InvalidDependency, "startDeps", "*", `"*" is not a container name`, name}}},
	})
}

func TestAllOthersAreOnlyAWish(t *testing.T) {
	s, err := ParseWish(`{"startDeps":"*=started?, a","stopDeps":["*"]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := with(func(s *Spec) {
		s.StartDeps = []Dependency{{"*", Started, true}, {"a", Ready, false}}
		s.StopDeps = []Dependency{{"*", Exited, false}}
	})
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	for _, text := range []string{`{"startDeps":"*,*"}`, `{"startDeps":"**"}`, `{"startDeps":"*a"}`, `{"wrapped":["*"]}`, `{"holdFor":["*"]}`, `{"restartWith":"*"}`} {
		if _, err := ParseWish(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestCorrectItemsOfAWrongFieldAreKept(t *testing.T) {
	s, err := Parse(`{"container":"main","startDeps":"a,b=x,c,c,main,D,dns://h,tcp://h","stopDeps":["e","f?",{"container":"g"}]}`)
	if err == nil {
		t.Fatal("accepted")
	}
	want := with(func(s *Spec) {
		s.Container = "main"
		s.StartDeps = []Dependency{{"a", Ready, false}, {"c", Ready, false}}
		s.StartEndpoints = []Endpoint{{"dns://h", false}}
		s.StopDeps = []Dependency{{"e", Exited, false}, {"g", Exited, false}}
	})
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestExitCodes(t *testing.T) {
	for text, want := range map[string]ExitCode{
		`0`: 0, `"0"`: 0, `1`: 1, `255`: 255, `"255"`: 255, `"child"`: Child, `"007"`: 7,
	} {
		s, err := Parse(`{"stoppedExitCode":` + text + `,"killedExitCode":` + text + `}`)
		if err != nil || s.StoppedExitCode != want || s.KilledExitCode != want {
			t.Errorf("%s: have %d and %d, %v, want %d", text, s.StoppedExitCode, s.KilledExitCode, err, want)
		}
	}
	for text, want := range map[string]ExitCode{`-1`: Child, `"-7"`: Child, `0`: 0, `"child"`: Child, `9`: 9} {
		s, err := Parse(`{"terminatedByStopDepExitCode":` + text + `}`)
		if err != nil || s.StoppedExitCode != want {
			t.Errorf("HBT koordinator's %s: have %d, %v, want %d", text, s.StoppedExitCode, err, want)
		}
	}
	const use = `Use 0 to 255, or "child" for the command's own code`
	refuses(t, map[string]refusal{
		"256":          {`{"stoppedExitCode":256}`, Problems{{InvalidExitCode, "stoppedExitCode", "256", `"256" is not an exit code`, use}}},
		"-1":           {`{"killedExitCode":-1}`, Problems{{InvalidExitCode, "killedExitCode", "-1", `"-1" is not an exit code`, use}}},
		"a fraction":   {`{"killedExitCode":1.0}`, Problems{{InvalidExitCode, "killedExitCode", "1.0", `"1.0" is not an exit code`, use}}},
		"a word":       {`{"stoppedExitCode":"Child"}`, Problems{{InvalidExitCode, "stoppedExitCode", "Child", `"Child" is not an exit code`, use}}},
		"no value":     {`{"stoppedExitCode":null}`, Problems{{WrongForm, "stoppedExitCode", "null", "null is not a single value", "Write one value"}}},
		"a list":       {`{"terminatedByStopDepExitCode":[-1]}`, Problems{{WrongForm, "terminatedByStopDepExitCode", "[-1]", "[-1] is not a single value", "Write one value"}}},
		"256 of HBT":   {`{"terminatedByStopDepExitCode":256}`, Problems{{InvalidExitCode, "terminatedByStopDepExitCode", "256", `"256" is not an exit code`, use}}},
		"HBT's killed": {`{"killedByStopDepExitCode":-1}`, Problems{{InvalidExitCode, "killedByStopDepExitCode", "-1", `"-1" is not an exit code`, use}}},
	})
}

func TestSignalsThatTheWrapperCannotReceiveAreRejected(t *testing.T) {
	for n := syscall.Signal(1); n <= 64; n++ {
		deaf := false
		switch n {
		case syscall.SIGKILL, SIGSTOP, syscall.SIGPIPE, SIGCHLD, SIGURG, SIGPROF, 32, 33, 34:
			deaf = true
		}
		s, err := Parse(`{"requestSignal":"` + SignalName(n) + `"}`)
		if (err != nil) != deaf || !deaf && s.RequestSignal != n {
			t.Errorf("%s: have %d, %v", SignalName(n), s.RequestSignal, err)
		}
	}
	const use = "Use another stop signal for the container, for example SIGTERM"
	refuses(t, map[string]refusal{
		"by its name":   {`{"requestSignal":"chld"}`, Problems{{InvalidSignal, "requestSignal", "SIGCHLD", "koordinator cannot receive SIGCHLD as a stop signal", use}}},
		"by its number": {`{"requestSignal":33}`, Problems{{InvalidSignal, "requestSignal", "33", "koordinator cannot receive 33 as a stop signal", use}}},
		"no signal":     {`{"requestSignal":{}}`, Problems{{WrongForm, "requestSignal", "{}", "{} is not a single value", "Write one value"}}},
	})
}

func TestTheSignalOfHBTKoordinator(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		`{"signal":9}`: syscall.SIGKILL, `{"signal":"9"}`: syscall.SIGKILL, ` { "signal" : 15 } `: syscall.SIGTERM, `{"signal":"INT"}`: syscall.SIGINT, `{"signal":64}`: 64,
	} {
		s, err := Parse(`{"whenStopDepExited":` + text + `}`)
		if err != nil || s.DependencySignal != want {
			t.Errorf("%s: have %d, %v, want %d", text, s.DependencySignal, err, want)
		}
	}
	const write = `Write {"signal": N}, or for an HTTP request the field stopHTTP, for example "POST http://127.0.0.1:15020/quitquitquit"`
	no := func(text string) Problems { return Problems{{WrongForm, "whenStopDepExited", "", text, write}} }
	refuses(t, map[string]refusal{
		"nothing":            {`{"whenStopDepExited":{}}`, no("{} is not a signal")},
		"an HTTP request":    {`{"whenStopDepExited":{"http":"get"}}`, no(`{"http":"get"} is not a signal`)},
		"both":               {`{"whenStopDepExited":{"signal":9,"http":"get"}}`, no(`{"signal":9,"http":"get"} is not a signal`)},
		"a number":           {`{"whenStopDepExited":9}`, Problems{{WrongForm, "whenStopDepExited", "", "9 is not a JSON object", "Write {…}"}}},
		"a list for a value": {`{"whenStopDepExited":{"signal":[9]}}`, Problems{{WrongForm, "whenStopDepExited", "[9]", "[9] is not a single value", "Write one value"}}},
		"the signal to stop": {`{"whenStopDepExited":{"signal":19}}`, Problems{{InvalidSignal, "whenStopDepExited", "19", `no command can handle the signal "19"`, "Use another, for example SIGTERM, SIGINT or SIGQUIT"}}},
	})
}
