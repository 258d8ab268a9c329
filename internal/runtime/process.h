// Telling operating system processes apart, so that a restarted worker can prove that the process
// that held its id before is gone, and need not wait for that life's lease.
#ifndef PARTI_INTERNAL_RUNTIME_PROCESS_H_
#define PARTI_INTERNAL_RUNTIME_PROCESS_H_

#include <string>

#include "internal/wire/records.h"

namespace parti::runtime {

// This process. The boot id is empty where /proc doesn't show this process under its own pid, for
// then nothing can be proven with it.
wire::ProcessId OwnProcess();

// True only if that process certainly runs no more: it was on this boot of this machine, in our pid
// namespace, and there is no process with its pid and start time, or only a zombie without threads.
bool ProcessIsGone(const wire::ProcessId& process);

// "<host name>-<pid>": the identity of a worker that was given none.
std::string DefaultIdentity();

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_PROCESS_H_
