package webhook

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// pitfall is an error of other injectors, with its number.
type pitfall struct {
	number int
	about  string
	shown  string // tests, as package.Function, separated by spaces; goldens name their pitfalls themselves
	reason string // why there is nothing to test here, or where else it is covered
}

// pitfalls are all known pitfalls.
var pitfalls = []pitfall{
	// The patch.
	{number: 1, about: "a patch by comparison moves and drops fields that the types do not know", shown: "webhook/admission.TestInject webhook/admission.TestCorpus webhook/inject.TestPatchOperations"},
	{number: 2, about: "a list is replaced as a whole", shown: "webhook/admission.TestCorpus webhook/inject.TestPatchOperations"},
	{number: 3, about: "pods that ask for nothing are patched", shown: "webhook/admission.TestOnlyNewPodsAreLookedAt"},
	{number: 4, about: "a request is larger than what is read", shown: "webhook/admission.TestWhatIsTooLargeIsRefusedAtOnce", reason: "the body is bounded by controller-runtime, above what the API server sends"},

	// Reinvocation, and other webhooks.
	{number: 5, about: "a second call injects again, or misses what came between", shown: "webhook/admission.TestCorpus webhook/inject.TestAnyPod webhook/inject.TestSecondCallAfterOthers webhook/inject.TestSecondCallAfterAnotherWrapper webhook/inject.TestSecondCallWithAnotherContainer test/e2e.TestCorpus"},
	{number: 6, about: "a mark that a user wrote switches the injection off", shown: "webhook/admission.TestInject/partly-there webhook/admission.TestInject/reserved webhook/inject.TestForgedSpecsAreNotBelieved"},
	{number: 7, about: "names of ours are taken", shown: "webhook/admission.TestInject/reserved"},
	{number: 8, about: "webhooks run once, by name, and again at most once", shown: "webhook/inject.TestSecondCallAfterOthers webhook/inject.TestSecondCallWithAnotherContainer"},
	{number: 9, about: "the first place among init containers is insisted on", shown: "webhook/inject.TestSecondCallAfterOthers"},
	{number: 10, about: "a sidecar that another webhook adds later is refused", shown: "webhook/inject.TestRules webhook/admission.TestCorpus"},
	{number: 11, about: "a webhook that fails open leaves pods without their order unnoticed", shown: "test/e2e.TestB8OnlyPodsThatTheWebhookDidNotProcessAreRefused test/e2e.TestWhatTheWebhookAcceptsIsNotRefusedAfterwards"},

	// The command of an image.
	{number: 12, about: "an image is looked up although the pod has a command", shown: "webhook/admission.TestInject/job-with-proxy webhook/admission.TestCorpus webhook/admission.TestWhatAnswersBeforeALookup test/e2e.TestCommandsOfImages"},
	{number: 13, about: "command and args are merged otherwise than the runtime does", shown: "webhook/image.TestMerge webhook/admission.TestTheCommandOfAnImage test/e2e.TestCommandsOfImages"},
	{number: 14, about: "the kubelet expands $ that an image brought", shown: "webhook/image.TestEscape webhook/admission.TestCorpus test/e2e.TestCommandsOfImages"},
	{number: 15, about: "a cache without bounds, of tags, or of failures for ever", shown: "webhook/image.TestHowLongAnswersAreUsed webhook/image.TestMemoryIsBounded webhook/image.TestFailuresAreRememberedBriefly webhook/image.TestOneLookupForAllThatAskAtOnce webhook/image.TestARegistryThatHangs webhook/admission.TestARegistryThatHangsHoldsNoAdmissionPastItsDeadline"},
	{number: 16, about: "a cache tells what the asking may not read", shown: "webhook/image.TestWhatOthersMayNotReadTheyAreNotTold webhook/image.TestLookupsWithOtherCredentialsAreNotShared webhook/image.TestADigestIsNoKeyToAnotherRepository"},
	{number: 17, about: "one platform of an index is taken for all", shown: "webhook/image.TestKindsOfImages webhook/image.TestRun webhook/image.TestAnIndexWithABrokenEntry webhook/admission.TestTheCommandOfAnImage wrapper/spec.TestCommandOn test/e2e.TestCommandsOfImages"},
	{number: 18, about: "a tag moves between lookup and run", shown: "webhook/image.TestATagThatStayedCostsOneHead webhook/admission.TestTheCommandOfAnImage", reason: "images stay as the user wrote them: a digest in their place would get in the way of mirrors and policies"},
	{number: 19, about: "only the first of several credentials is tried", shown: "webhook/image.TestCredentialsAreTriedInOrder webhook/image.TestMatch webhook/image.TestParseSecret"},
	{number: 20, about: "a certificate authority or plain HTTP that a pod could ask for", shown: "webhook/image.TestTLS webhook/image.TestPlainHTTPHasToBeListed"},
	{number: 21, about: "an image's host leads to places inside", shown: "webhook/image.TestRefusedAddresses webhook/image.TestWhatIsNotDialled webhook/image.TestARedirectToARefusedPlace webhook/image.TestNoCredentialsAcrossARedirect webhook/image.TestAnswersThatLie"},
	{number: 22, about: "an image with neither ENTRYPOINT nor CMD, or with the shell form", shown: "webhook/image.TestMerge webhook/inject.TestCommandsThatAreNotFound webhook/admission.TestALookupThatFails"},
	{number: 23, about: "a program without a path is looked for elsewhere", shown: "wrapper/process.TestLookup wrapper/process.TestDefaultPath wrapper/process.TestWorkingDirectory"},
	{number: 24, about: "an argument or variable is longer than the kernel takes", shown: "webhook/admission.TestWhatIsTooLargeIsRefusedAtOnce"},
	{number: 25, about: "an image is rewritten after we looked", shown: "webhook/inject.TestSecondCallAfterOthers", reason: "a mirror has the same image; our own may be rewritten too"},

	// Consequences of wrapping.
	{number: 26, about: "signals, orphans, exit codes and the terminal of PID 1", shown: "wrapper/process.TestOrphansAreReaped wrapper/process.TestTerminal wrapper/process.TestExitCodes test/pod.TestInitSignals test/pod.TestSharedProcessNamespace test/e2e.TestTheContainersOwnStopSignalIsUsed"},
	{number: 27, about: "probes end a container that waits", shown: "webhook/admission.TestInject/own-startup-probe test/e2e.TestKubernetesSeesTheTruthWhileAContainerWaits test/e2e.TestALateStartDoesNotEatTheLivenessDelay"},
	{number: 28, about: "a postStart hook keeps later containers from starting", shown: "webhook/admission.TestInject/hooks test/e2e.TestAPostStartHookOfAWaitingContainerIsTakenOver"},
	{number: 29, about: "a stop takes more than the grace period", shown: "webhook/admission.TestInject/hold-for test/e2e.TestADependencyIsStoppedAfterItsDependants test/e2e.TestAPodDeletedWhileWaitingStartsNothingAndIsGoneAtOnce"},
	{number: 30, about: "waits that never end", shown: "webhook/inject.TestRules"},
	{number: 31, about: "restarts of a container, of all, and of the sandbox", shown: "webhook/inject.TestRules test/pod.TestRestarts wrapper/record.TestPrepareClearsWhatAnEarlierSandboxLeft wrapper/process.TestFileBusy wrapper/command.TestScripts test/e2e.TestTheOrderHoldsAcrossRestarts test/e2e.TestANewSandboxForgetsNoSuccess"},
	{number: 32, about: "termination message, output and exit code are not the command's any more", shown: "test/pod.TestTerminationMessage wrapper/process.TestExitCodes webhook/admission.TestCorpus"},

	// Kinds of pods.
	{number: 33, about: "static pods and Windows", shown: "webhook/admission.TestInject/mirror-pod webhook/admission.TestInject/windows webhook/admission.TestWindowsPodsAreKnown"},
	{number: 34, about: "a pod has no name yet", shown: "webhook/admission.TestCorpus test/e2e.TestCorpus"},
	{number: 35, about: "a pod has no namespace yet", shown: "webhook/admission.TestCorpus test/e2e.TestCorpus"},
	{number: 36, about: "a pod has no token", shown: "webhook/admission.TestInject/source-pod webhook/admission.TestInject/source-local webhook/inject.TestAnyPod wrapper/podwatch.TestARotatedTokenIsPickedUp"},
	{number: 37, about: "any user has to run the binary and write its record", shown: "test/e2e.TestRestrictedContainersOfDifferentUsers test/pod.TestContainersShareTheRecords"},
	{number: 38, about: "what is added does not meet Pod Security", shown: "webhook/admission.TestCorpus webhook/admission.TestInject test/e2e.TestCorpus test/e2e.TestGoldens test/e2e.TestARestrictedNamespaceWithAQuota"},
	{number: 39, about: "quotas refuse the pod, or its class changes", shown: "webhook/admission.TestInject/with-resources test/e2e.TestCorpus test/e2e.TestARestrictedNamespaceWithAQuota"},
	{number: 40, about: "the wrapper's image cannot be pulled where the pods are", shown: "webhook.TestOptions", reason: "image and pull policy are settings; nodes pull with the pod's own secrets"},
	{number: 41, about: "an emptyDir without limit, in memory or not executable", shown: "wrapper/record.TestAFullVolumeLosesNoRecord wrapper/process.TestNoexecVolume webhook/admission.TestInject"},
	{number: 42, about: "the binary can be written to, or mounts lie over ours", shown: "webhook/admission.TestInject/reserved webhook/admission.TestCorpus"},
	{number: 43, about: "copies of injected pods carry our marks", shown: "test/e2e.TestCorpus webhook/admission.TestOnlyNewPodsAreLookedAt webhook/inject.TestCopiesOfAnyPod test/e2e.TestCopiesOfInjectedPods"},
	{number: 44, about: "kubectl takes our container for the main one", shown: "webhook/admission.TestCorpus", reason: "kubectl's default is a regular container, ours is an init container"},
	{number: 45, about: "profiles of the command hold for the wrapper too", shown: "test/e2e.TestRestrictedContainersOfDifferentUsers wrapper/record.TestWatchWithoutNotificationsPolls"},

	// Operation.
	{number: 46, about: "the timeout is too long, or ordering is lost in silence", shown: "webhook/admission.TestSamples test/chart.TestWebhookIsAskedOnlyAboutWhatIsOurs", reason: "both are settings of the chart, which say what follows from them"},
	{number: 47, about: "an error of our own refuses pods whatever the failure policy says", shown: "webhook/admission.FuzzPod webhook/admission.TestOnlyNewPodsAreLookedAt"},
	{number: 48, about: "the webhook waits for itself", shown: "test/e2e.TestAPodInANamespaceWithoutTheLabelIsUntouched test/chart.TestWebhookIsAskedOnlyAboutWhatIsOurs", reason: "the chart leaves out its own namespace and those of the system"},
	{number: 49, about: "a single webhook is away", shown: "test/chart.TestCopiesAreKeptAvailable test/e2e.TestLifeOfARelease test/e2e.TestPodsThatAreNotOursNeedNoWebhook"},
	{number: 50, about: "the API server does not trust the certificate yet", shown: "webhook/certificate.TestCertificateIsReadyOnceTrusted test/e2e.TestCertificateOfOurOwnIsRenewedUnderLoad test/e2e.TestLifeOfARelease"},
	{number: 51, about: "a firewall between API server and webhook", reason: "it is a matter of the cluster; the port is a setting"},
	{number: 52, about: "admission writes something", shown: "webhook/rbac.TestGrants test/e2e.TestAGrantComesAndGoesWithThePodsThatNeedIt test/e2e.TestCorpus"},
	{number: 53, about: "the wrapper does not reach the API server", shown: "wrapper/podwatch.TestAResetConnectionIsMadeAnew wrapper/podwatch.TestARestartedServerIsFoundAgain test/e2e.TestTheOrderHoldsWhileTheAPIServerRestarts"},
	{number: 54, about: "watches of thousands of pods", shown: "wrapper/podwatch.TestRequestsAreWhatTheAPIServerExpects wrapper/podwatch.TestRetryAfterIsObeyedWithinBounds wrapper.TestTheStatusIsWatchedOnlyWhileItIsNeeded"},
	{number: 55, about: "the cluster is newer than our types", shown: "webhook/admission.TestInject webhook/admission.TestCorpus"},
	{number: 56, about: "annotations are input", shown: "webhook/annotations.FuzzAnnotations webhook/admission.TestWhatIsTooLargeIsRefusedAtOnce webhook/admission.TestCorpus"},
	{number: 57, about: "a metric for every pod", shown: "webhook/admission.TestLabelsSayNothingThatAUserHasWritten"},
}

// TestPitfalls checks that an existing golden or other test covers every pitfall,
// or that a reason explains why there is none.
func TestPitfalls(t *testing.T) {
	goldens := goldensOfPitfalls(t)
	for i, p := range pitfalls {
		if p.number != i+1 || p.about == "" {
			t.Errorf("pitfall %d is in the place of %d", p.number, i+1)
		}
		if p.shown == "" && p.reason == "" && len(goldens[p.number]) == 0 {
			t.Errorf("pitfall %d (%s): no test, no golden, no reason", p.number, p.about)
		}
		for name := range strings.FieldsSeq(p.shown) {
			if !exists(t, name) {
				t.Errorf("pitfall %d (%s): there is no %s", p.number, p.about, name)
			}
		}
	}
	for number, names := range goldens {
		if number < 1 || number > len(pitfalls) {
			t.Errorf("%s: there is no pitfall %d", strings.Join(names, ", "), number)
		}
	}
}

// goldensOfPitfalls returns the goldens whose comment contains "pitfall 12" or
// "pitfalls 12, 14 and 20-22", by number.
func goldensOfPitfalls(t *testing.T) map[int][]string {
	t.Helper()
	lists := regexp.MustCompile(`(?i)pitfalls? (\d+(?:(?:-|–|, | and |, and )\d+)*)`)
	paths, err := filepath.Glob("admission/testdata/inject/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int][]string{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists.FindAllStringSubmatch(string(archive.Comment), -1) {
			for _, number := range numbers(t, list[1]) {
				found[number] = append(found[number], path)
			}
		}
	}
	return found
}

// numbers parses a list of numbers and ranges.
func numbers(t *testing.T, list string) []int {
	t.Helper()
	var all []int
	for _, item := range regexp.MustCompile(`, and |, | and `).Split(list, -1) {
		ends := regexp.MustCompile(`[-–]`).Split(item, 2)
		first, err := strconv.Atoi(ends[0])
		if err != nil {
			t.Fatal(err)
		}
		last, err := strconv.Atoi(ends[len(ends)-1])
		if err != nil {
			t.Fatal(err)
		}
		for n := first; n <= last; n++ {
			all = append(all, n)
		}
	}
	return all
}

// exists reports whether there is a test named package.Function, or a golden
// named webhook/admission.TestInject/name.
func exists(t *testing.T, name string) bool {
	t.Helper()
	if golden, found := strings.CutPrefix(name, "webhook/admission.TestInject/"); found {
		_, err := os.Stat(filepath.Join("admission", "testdata", "inject", golden+".txtar"))
		return err == nil
	}
	dot := strings.LastIndex(name, ".")
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(name[:dot]), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name[dot+1:]) + `\(`)
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if function.Match(source) {
			return true
		}
	}
	return false
}

func TestNumbersOfPitfalls(t *testing.T) {
	for list, want := range map[string]int{"34": 1, "1, 2 and 5": 3, "13-16": 4, "1–3, and 7": 4} {
		if have := numbers(t, list); len(have) != want {
			t.Errorf("%q: %v, want %d of them", list, have, want)
		}
	}
}
