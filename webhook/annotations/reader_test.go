package annotations

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// TestReaderReadsAsRead reads many pods with one Reader, each of them twice.
func TestReaderReadsAsRead(t *testing.T) {
	reader := NewReader()
	pods := []metav1.ObjectMeta{
		{},
		{Annotations: given("start-deps", "a: b")},
		{Annotations: given("start-deps", "a: c")},
		{Annotations: given("stop-deps", "a: b")},
		{Annotations: given("start-deps", "a: b", "stop-deps", "b: a")},
		{Annotations: given("start-deps", "a: b\x00stop-deps\x00b: a")},
		{Annotations: given("start-deps", "a: b9 stop-deps4 b: a")},
		{Annotations: given("start-deps", "a: b", "inject", "false")},
		{Annotations: given("start-deps", "a: b", "status", "{}")},
		{Annotations: given("start-deps", "a: b, b"), Labels: map[string]string{inject.EssentialLabel: "a"}},
		{Annotations: given("essential", "a"), Labels: map[string]string{inject.EssentialLabel: "b"}},
		{Labels: map[string]string{inject.EssentialLabel: "10 start-deps4 a: b"}},
		{Annotations: given("start-deps", "a: b"), Labels: map[string]string{inject.EssentialLabel: "9 stop-deps4 b: a"}},
		{Annotations: given("start-deps", "a: "+strings.Repeat("b", longestText))},
	}
	for range 2 {
		for _, pod := range pods {
			asked, problems := reader.Read(pod)
			wantAsked, wantProblems := Read(pod, nil)
			if !reflect.DeepEqual(asked, wantAsked) || !slices.Equal(messages.Strings(problems), messages.Strings(wantProblems)) {
				t.Errorf("%q: %+v, %s, want %+v, %s", pod.Annotations, asked, problems, wantAsked, wantProblems)
			}
		}
	}
}

// TestReaderIsBounded reads more pods than a Reader remembers, and texts that are
// too long to remember.
func TestReaderIsBounded(t *testing.T) {
	reader := NewReader()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range mostRemembered {
				reader.Read(metav1.ObjectMeta{Annotations: given("start-deps", fmt.Sprintf("a: c%d-%d", i, j))})
			}
		})
	}
	all.Wait()
	if n := reader.known.Len(); n != mostRemembered {
		t.Errorf("%d remembered, want %d", n, mostRemembered)
	}
	reader = NewReader()
	reader.Read(metav1.ObjectMeta{Annotations: given("start-deps", "a: "+strings.Repeat("b, ", longestText))})
	if n := reader.known.Len(); n != 0 {
		t.Errorf("%d long texts remembered, want 0", n)
	}
}

// TestReaderNeedsLittleMemory reads texts of a user who tries to fill the memory.
func TestReaderNeedsLittleMemory(t *testing.T) {
	const texts = 32
	const most = 32 << 20 / mostRemembered * texts // bytes
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for name, element := range map[string]string{"containers": "%x: a,", "problems": "%x: ,", "a list": "%x,"} {
		t.Run(name, func(t *testing.T) {
			reader, before := NewReader(), used()
			for _, length := range []int{longestText / 2, longestText} {
				for i := range texts {
					text := fmt.Sprintf("z%d: a,", i)
					for j := 1 << 12; len(text) < length-64; j++ {
						text += fmt.Sprintf(element, j)
					}
					if name == "a list" {
						text = "a: [" + strings.ReplaceAll(text, ": ", "-") + "]"
					}
					reader.Read(metav1.ObjectMeta{Annotations: given("start-deps", "{"+text+"}")})
				}
				if now := used(); now > before+most {
					t.Errorf("%d KiB for texts of %d bytes, want at most %d", (now-before)>>10, length, most>>10)
				}
			}
			runtime.KeepAlive(reader)
		})
	}
}

// TestReaderSharesNoRoomToAppend has two callers append to the same problems.
func TestReaderSharesNoRoomToAppend(t *testing.T) {
	reader := NewReader()
	pod := metav1.ObjectMeta{Annotations: given("nonsense", "x", "start-deps", "a", "stop-deps", "b")}
	_, first := reader.Read(pod)
	_, second := reader.Read(pod)
	if len(first) < 2 {
		t.Fatalf("%d problems, want several", len(first))
	}
	one := append(first, first[0])
	two := append(second, second[1])
	if one[len(first)].String() == two[len(second)].String() {
		t.Error("what one caller appends, the other has")
	}
}
