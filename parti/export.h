// PARTI_EXPORT: what the shared library shows. The library is compiled with hidden visibility, so a
// class or function that users call needs it; what only declares data or is inline doesn't.
//
//   class PARTI_EXPORT Manager { … };
//   PARTI_EXPORT std::string_view StateName(State state);
#ifndef PARTI_EXPORT_H_
#define PARTI_EXPORT_H_

#define PARTI_EXPORT __attribute__((visibility("default")))

#endif  // PARTI_EXPORT_H_
