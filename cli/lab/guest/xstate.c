/* Lets User-Mode Linux 6.1 run on a processor with AMX. It keeps 2,696 octets of a process's extended state and hands as
 * many back with PTRACE_SETREGSET; a host whose state is longer wants all of it and refuses. What lies beyond belongs to
 * AMX, which no guest uses: we cut it off when it is read and put zeros (its initial state) in its place when it is set.
 * Loaded with LD_PRELOAD into linux.uml alone. See ptrace(2) and the XSAVE area in Intel's manual, volume 1, chapter 13. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static char whole[1 << 16];
static size_t length = sizeof whole;

long ptrace(enum __ptrace_request request, ...)
{
    static long (*next)(enum __ptrace_request, ...);
    va_list given;
    va_start(given, request);
    int pid = va_arg(given, int);
    void *address = va_arg(given, void *), *data = va_arg(given, void *);
    va_end(given);
    if (!next)
        next = dlsym(RTLD_NEXT, "ptrace");
    int reads = request == PTRACE_GETREGSET;
    if (!(reads || request == PTRACE_SETREGSET) || (long)address != NT_X86_XSTATE)
        return next(request, pid, address, data);
    struct iovec *asked = data, full = {whole, length};
    if (!reads)
        memcpy(whole, asked->iov_base, asked->iov_len);
    long result = next(request, pid, address, &full);
    if (reads && result == 0) {
        if (asked->iov_len > full.iov_len)
            asked->iov_len = full.iov_len;
        memcpy(asked->iov_base, whole, asked->iov_len);
        memset(whole + asked->iov_len, 0, full.iov_len - asked->iov_len);
        length = full.iov_len;
    }
    return result;
}
