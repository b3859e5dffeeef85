package messages

import "koordinator.io/koordinator/wrapper/spec"

// Codes of annotations and their values. The codes of values are those of package
// spec.
const (
	UnknownAnnotation  Code = "KO101"
	NotYAML            Code = "KO102"
	Empty              Code = "KO103"
	WrongForm               = spec.WrongForm
	DuplicateKey            = spec.DuplicateKey
	GivenTwice              = spec.GivenTwice
	UnknownField            = spec.UnknownField
	NotTrueOrFalse     Code = "KO108"
	YAMLAlias          Code = "KO109"
	SeveralDocuments   Code = "KO110"
	AnnotationsTooLong Code = "KO111"
	InvalidCommand     Code = "KO112"
)

// Codes of dependencies and order.
const (
	UnknownContainer     Code = "KO201"
	UnknownOptional      Code = "KO202"
	StartCycle           Code = "KO203"
	StopCycle            Code = "KO204"
	NeverStarts          Code = "KO205"
	StoppedAsItStarts    Code = "KO206"
	HardlyEverStarts     Code = "KO207"
	MayWaitForever       Code = "KO209"
	MayRestartForever    Code = "KO210"
	WaitsForLater        Code = "KO211"
	InitNeverReady       Code = "KO212"
	NeverTrue            Code = "KO213"
	InitStopDependency   Code = "KO214"
	StopDependencyOnInit Code = "KO215"
	OnlyAtShutdown       Code = "KO216"
	StopNeverHolds       Code = "KO217"
	RestartedAfterStop   Code = "KO218"
	NoReadinessProbe     Code = "KO219"
	EssentialInit        Code = "KO220"
	EssentialAlways      Code = "KO221"
	EssentialStopsNot    Code = "KO222"
	TektonStepsWait      Code = "KO223"
	NotInRecords         Code = "KO224"
	NoEffect             Code = "KO225"
	NoContainerWrapped   Code = "KO226"
	RestartWithInit      Code = "KO230"
	RestartCycle         Code = "KO231"
	RestartsCount        Code = "KO232"
	NoStopRequest        Code = "KO233"
	StopRequestDisabled  Code = "KO234"
	NoOthers             Code = "KO235"
	InvalidAllOthers     Code = "KO236"
	StoppedByKubelet     Code = "KO237"
)

// Codes of the settings of one container.
const (
	StopDelayTooLong   Code = "KO301"
	StopTimeoutTooLong Code = "KO302"
	ExitHTTPNeverSent  Code = "KO303"
	StopHTTPUnused     Code = "KO304"
	ExecModeImpossible      = spec.ExecImpossible
	PostStartUngated   Code = "KO306"
	Ungated            Code = "KO307"
	UnsupportedProbe   Code = "KO308"
	UnsupportedHook    Code = "KO309"
	UnknownPort        Code = "KO310"
	PodStopSignal      Code = "KO311"
	InvalidPodField    Code = "KO312"
	SpecTooLong        Code = "KO313"
	InvalidName        Code = "KO314"
)

// Codes of commands and images.
const (
	CommandUnknown    Code = "KO401"
	TooManyDryLookups Code = "KO402"
	ImageName         Code = "KO403"
	RegistryForbidden Code = "KO404"
	Unauthorized      Code = "KO405"
	ImageNotFound     Code = "KO406"
	RateLimited       Code = "KO407"
	Unreachable       Code = "KO408"
	InvalidAnswer     Code = "KO409"
	UnsupportedImage  Code = "KO410"
	ImageRunsNothing  Code = "KO411"
	CommandReplaced   Code = "KO412"
	TagMayMove        Code = "KO413"
	StaysUnwrapped    Code = "KO414"
	LeftAlone         Code = "KO415"
	ImageStopSignal   Code = "KO416"
)

// Codes of reserved names, and of platforms that koordinator does not support.
const (
	ReservedVariable  Code = "KO501"
	ReservedPath      Code = "KO502"
	ReservedVolume    Code = "KO503"
	ReservedMount     Code = "KO504"
	BindMountOptions  Code = "KO505"
	ReservedContainer Code = "KO506"
	BeforeInstaller   Code = "KO507"
	OwnCommand        Code = "KO508"
	OwnProbe          Code = "KO509"
	OwnHook           Code = "KO510"
	GoVariable        Code = "KO511"
	MirrorPod         Code = "KO512"
	WindowsPod        Code = "KO513"
	TooManyContainers Code = "KO514"
)

// Codes of the policies of the installation.
const (
	NotProcessed   Code = "KO601"
	NamespaceNotOn Code = "KO602"
	Misplaced      Code = "KO603"
	MisplacedLabel Code = "KO604"
)

// Codes that only the command-line tool reports, because it has whole manifests
// and enough time.
const (
	MisspeltPrefix      Code = "KO701"
	WrittenTwice        Code = "KO702"
	NativeSidecarWould  Code = "KO703"
	RestartWaitsForever Code = "KO704"
)
