// Preloaded into a worker process: its wall clock is off by the seconds that stand, as eight bytes,
// in the file $PARTI_TEST_WALL_CLOCK, which the test changes while the worker runs. Other clocks
// are left alone, and so is the time that a wait until some wall-clock time takes when the clock
// doesn't jump during it.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>

namespace {

const volatile std::int64_t* Map() {
  static const std::int64_t none = 0;
  const char* const path = getenv("PARTI_TEST_WALL_CLOCK");
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return &none;
  void* const bytes = mmap(nullptr, sizeof(none), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return bytes == MAP_FAILED ? &none : static_cast<const std::int64_t*>(bytes);
}

std::int64_t Offset() {
  static const volatile std::int64_t* const offset = Map();
  return *offset;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const long result = syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    now->tv_sec += Offset();
  }
  return static_cast<int>(result);
}

int gettimeofday(timeval* now, void*) noexcept {
  timespec exact{};
  const int result = clock_gettime(CLOCK_REALTIME, &exact);
  *now = {exact.tv_sec, exact.tv_nsec / 1000};
  return result;
}

time_t time(time_t* now) noexcept {
  timespec exact{};
  clock_gettime(CLOCK_REALTIME, &exact);
  if (now != nullptr) *now = exact.tv_sec;
  return exact.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  using Wait = int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*);
  static const auto wait = reinterpret_cast<Wait>(dlsym(RTLD_NEXT, "pthread_cond_timedwait"));
  timespec real = *until;
  real.tv_sec -= Offset();
  return wait(condition, mutex, &real);
}

}  // extern "C"
