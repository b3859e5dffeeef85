// The commands at both ends of a measurement. They use no library and no runtime,
// so that the kernel accounts for nearly all the time that they take.
//
//	part                 exits
//	part exit            sleeps until its wrapper has nothing to do, prints the time, and exits
//	part now             prints the time, and exits
//	part until SIGNAL    prints "up", waits for the signal, prints the time, and exits
//	part listen PORT MS  sleeps, listens on 127.0.0.1, prints the time, and runs until it is killed
//	part report MS       sleeps, prints the time, sends READY=1 to NOTIFY_SOCKET, and runs until it is killed
//
// The time is CLOCK_MONOTONIC in nanoseconds.

#include <linux/in.h>
#include <linux/time.h>
#include <linux/un.h>
#include <sys/syscall.h>

#define MAIN __attribute__((noreturn, used)) static void run(long *stack)

#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
static long call(long number, long a, long b, long c, long d) {
	register long r10 __asm__("r10") = d;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x0, sp\n bl run\n");
static long call(long number, long a, long b, long c, long d) {
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
#endif

enum { settle = 20 }; // milliseconds

__attribute__((noreturn)) static void leave(int code) {
	for (;;)
		call(SYS_exit_group, code, 0, 0, 0);
}

static void rest(long milliseconds) {
	struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000};
	call(SYS_nanosleep, (long)&t, 0, 0, 0);
}

// mark prints the time.
static void mark(void) {
	struct timespec t;
	char text[24], *at = text + sizeof text;
	call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0, 0);
	long n = t.tv_sec * 1000000000 + t.tv_nsec;
	*--at = '\n';
	for (; n > 0; n /= 10)
		*--at = '0' + n % 10;
	call(SYS_write, 1, (long)at, text + sizeof text - at, 0);
}

static long number(const char *text) {
	long n = 0;
	for (; *text; text++)
		n = 10 * n + *text - '0';
	return n;
}

static void until(long signal) {
	unsigned long set = 1UL << (signal - 1);
	call(SYS_rt_sigprocmask, 0, (long)&set, 0, sizeof set);
	call(SYS_write, 1, (long)"up\n", 3, 0);
	call(SYS_rt_sigtimedwait, (long)&set, 0, 0, sizeof set);
	mark();
}

static void listen(long port) {
	struct sockaddr_in at = {2, __builtin_bswap16(port), {__builtin_bswap32(0x7f000001)}, {0}}; // AF_INET
	long socket = call(SYS_socket, 2, 1, 0, 0);                                                 // SOCK_STREAM
	if (call(SYS_bind, socket, (long)&at, sizeof at, 0) < 0 || call(SYS_listen, socket, 8, 0, 0) < 0)
		leave(1);
	mark();
	for (;;)
		call(SYS_close, call(SYS_accept, socket, 0, 0, 0), 0, 0, 0);
}

// value returns the rest of a text after a prefix, or 0 if it does not have the prefix.
static const char *value(const char *text, const char *prefix) {
	while (*prefix)
		if (*text++ != *prefix++)
			return 0;
	return text;
}

static void report(char **environment) {
	static struct sockaddr_un at = {1, {0}}; // AF_UNIX
	const char *path = 0;
	while (!path && *environment)
		path = value(*environment++, "NOTIFY_SOCKET=");
	for (int i = 0; path && path[i] && i < UNIX_PATH_MAX - 1; i++)
		at.sun_path[i] = path[i];
	long socket = call(SYS_socket, 1, 2, 0, 0); // AF_UNIX, SOCK_DGRAM
	if (call(SYS_connect, socket, (long)&at, sizeof at, 0) < 0)
		leave(1);
	mark();
	if (call(SYS_write, socket, (long)"READY=1", 7, 0) < 0)
		leave(1);
	for (;;)
		rest(1000);
}

MAIN {
	long count = stack[0];
	char **argument = (char **)(stack + 2);
	switch (count > 1 ? argument[0][0] : 0) {
	case 'e':
		rest(settle);
		mark();
		break;
	case 'n':
		mark();
		break;
	case 'u':
		until(number(argument[1]));
		break;
	case 'l':
		rest(number(argument[2]));
		listen(number(argument[1]));
		break;
	case 'r':
		rest(number(argument[1]));
		report(argument + count); // after the arguments and their end
	}
	leave(0);
}
