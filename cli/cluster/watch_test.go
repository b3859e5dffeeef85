package cluster

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// server is an API server with pods. It sends the lines that a test puts into its channels.
type server struct {
	list    corev1.PodList
	changes chan string // lines of a watch
	lines   chan string // lines of the log of container main
	lists   chan string // selectors of the requests to list pods
	denied  bool        // pods may not be watched
}

// serve starts the server, and returns a Cluster that uses it.
func serve(t *testing.T, s *server) *Cluster {
	t.Helper()
	s.changes, s.lines, s.lists = make(chan string), make(chan string), make(chan string, 10)
	send := func(w http.ResponseWriter, r *http.Request, from chan string) {
		w.WriteHeader(http.StatusOK)
		for {
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case text, open := <-from:
				if !open || text == "" {
					return
				}
				if _, err := w.Write([]byte(text + "\n")); err != nil {
					return
				}
			}
		}
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/log"):
			if r.URL.Query().Get("follow") != "true" || r.URL.Query().Get("sinceSeconds") != "10" {
				t.Errorf("log: %s", r.URL)
			}
			send(w, r, s.lines)
		case r.URL.Query().Get("watch") == "true" && s.denied:
			w.WriteHeader(http.StatusForbidden)
			status := apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("no permission")).Status()
			if err := json.NewEncoder(w).Encode(status); err != nil {
				t.Error(err)
			}
		case r.URL.Query().Get("watch") == "true":
			send(w, r, s.changes)
		default:
			s.lists <- r.URL.Query().Get("labelSelector")
			if err := json.NewEncoder(w).Encode(s.list); err != nil {
				t.Error(err)
			}
		}
	}))
	t.Cleanup(api.Close)
	client, err := corev1client.NewForConfig(&rest.Config{Host: api.URL, ContentConfig: rest.ContentConfig{AcceptContentTypes: "application/json", ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{client, "shop"}
}

// event returns a line of a watch.
func event(t *testing.T, kind string, object any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"type": kind, "object": object})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// watched returns a pod with a resource version, whose main container runs.
func watched(name, version string, phase corev1.PodPhase) corev1.Pod {
	p := made(name, "Job", "report", "")
	p.APIVersion, p.Kind, p.Namespace, p.UID, p.ResourceVersion = "v1", "Pod", "shop", "u-1", version
	p.Status.Phase = phase
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", ContainerID: "c-1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	return p
}

func TestAWatchShowsChangesOfPodsAndOfLogs(t *testing.T) {
	first := watched("report-x", "1", corev1.PodPending)
	s := &server{list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{first, made("other", "Job", "other", "")}}}
	c := serve(t, s)
	var seen []string
	steps := []func(){
		func() { s.lines <- "a line of the command" },
		func() { s.lines <- `time=2026-07-01T12:00:00Z from=koordinator event=started` },
		func() { s.changes <- event(t, "MODIFIED", watched("report-x", "2", corev1.PodRunning)) },
		func() { s.changes <- "" }, // the connection ends, and the watch resumes
		func() { s.changes <- event(t, "MODIFIED", watched("report-x", "3", corev1.PodSucceeded)) },
	}
	report := make(chan string)
	go func() {
		<-report
		steps[0]()
		steps[1]()
		<-report
		steps[2]()
		<-report
		steps[3]()
		steps[4]()
		<-report
		close(report)
	}()
	err := c.Watch(t.Context(), []Target{{"Job", "report"}}, "", func(pods, news []corev1.Pod) (bool, error) {
		if len(pods) != 1 || len(news) != 1 {
			t.Errorf("%d pods, %d of them new, want 1", len(pods), len(news))
			return true, nil
		}
		seen = append(seen, string(pods[0].Status.Phase))
		report <- "seen"
		return pods[0].Status.Phase == corev1.PodSucceeded, nil
	})
	if want := []string{"Pending", "Pending", "Running", "Succeeded"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("seen %v, %v, want %v", seen, err, want)
	}
	if n := len(s.lists); n != 1 {
		t.Errorf("listed %d times, want once", n)
	}
}

func TestAWatchThatIsTooOldListsAgain(t *testing.T) {
	s := &server{list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{watched("report-x", "1", corev1.PodRunning)}}}
	c := serve(t, s)
	calls := 0
	err := c.Watch(t.Context(), nil, "app=report", func(_, _ []corev1.Pod) (bool, error) {
		calls++
		if calls == 1 {
			go func() {
				s.changes <- event(t, "ERROR", metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: http.StatusGone, Reason: metav1.StatusReasonExpired})
			}()
		}
		return calls == 2, nil
	})
	if err != nil || calls != 2 || len(s.lists) != 2 {
		t.Errorf("%d calls, %d lists, %v", calls, len(s.lists), err)
	}
	if selector := <-s.lists; selector != "app=report,koordinator.io/injected=true" {
		t.Errorf("selector %q", selector)
	}
}

func TestAWatchEndsWithAnErrorOfItsCallerAndOfTheFirstList(t *testing.T) {
	s := &server{list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}}
	c := serve(t, s)
	own := errors.New("the terminal is gone")
	if err := c.Watch(t.Context(), nil, "", func(_, _ []corev1.Pod) (bool, error) { return false, own }); !errors.Is(err, own) {
		t.Errorf("error %v", err)
	}
	bad, err := corev1client.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Cluster{bad, "shop"}).Watch(t.Context(), nil, "", nil); err == nil {
		t.Error("no error, although no API server answers")
	}
}

func TestAWatchThatIsNotAllowedIsAnError(t *testing.T) {
	s := &server{denied: true, list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}}
	c := serve(t, s)
	calls := 0
	err := c.Watch(t.Context(), nil, "", func(_, _ []corev1.Pod) (bool, error) {
		calls++
		return calls == 3, nil
	})
	if !apierrors.IsForbidden(err) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestALongLineDoesNotEndALog(t *testing.T) {
	s := &server{list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{watched("report-x", "1", corev1.PodRunning)}}}
	c := serve(t, s)
	calls := 0
	err := c.Watch(t.Context(), nil, "", func(_, _ []corev1.Pod) (bool, error) {
		calls++
		if calls == 1 {
			go func() {
				s.lines <- strings.Repeat("x", 100<<10)
				s.lines <- `time=2026-07-01T12:00:00Z from=koordinator event=started`
			}()
		}
		return calls == 2, nil
	})
	if err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestOnlyPodsInWhichSomethingHasChangedAreNews(t *testing.T) {
	other := watched("report-y", "1", corev1.PodRunning)
	other.UID, other.Status.ContainerStatuses = "u-2", nil
	s := &server{list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{watched("report-x", "1", corev1.PodRunning), other}}}
	c := serve(t, s)
	var seen []string
	err := c.Watch(t.Context(), nil, "", func(all, news []corev1.Pod) (bool, error) {
		if len(all) != 2 {
			t.Errorf("%d pods, want 2", len(all))
		}
		for _, pod := range news {
			seen = append(seen, pod.Name)
		}
		n := len(seen)
		go func() {
			switch n {
			case 2:
				s.lines <- `time=2026-07-01T12:00:00Z from=koordinator event=started`
			case 3:
				changed := other
				changed.ResourceVersion = "2"
				s.changes <- event(t, "MODIFIED", changed)
			}
		}()
		return n == 4, nil
	})
	if want := []string{"report-x", "report-y", "report-x", "report-y"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("news %v, %v, want %v", seen, err, want)
	}
}

func TestALogThatBreaksIsFollowedAgain(t *testing.T) {
	s := &server{list: corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{watched("report-x", "1", corev1.PodRunning)}}}
	c := serve(t, s)
	reports := 0
	err := c.Watch(t.Context(), nil, "", func(_, news []corev1.Pod) (bool, error) {
		if reports += len(news); reports == 1 {
			go func() {
				s.lines <- "" // the connection ends
				s.lines <- `time=2026-07-01T12:00:00Z from=koordinator event=started`
			}()
		}
		return reports == 2, nil
	})
	if err != nil || reports != 2 {
		t.Errorf("%d reports, %v", reports, err)
	}
}
