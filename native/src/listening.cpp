// A listening socket that refuses new connections while the accepted ones go on.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../include/rec.h"

namespace {

constexpr int fds_max = 65536;

bool listens(int fd) {
  int value = 0;
  socklen_t length = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value != 0;
}

// Port of the socket's own address; 0 where it has none.
uint32_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  }
  if (address.ss_family != AF_INET6) return 0;
  return ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

}  // namespace

int32_t rec_refuse_connections(uint32_t port) {
  if (port == 0 || port > 65535) return REC_BAD_ARGUMENT;
  const long most = sysconf(_SC_OPEN_MAX);
  const int end = most > 0 && most < fds_max ? static_cast<int>(most) : fds_max;
  int32_t count = 0;
  for (int fd = 0; fd < end; fd++) {
    if (!listens(fd) || port_of(fd) != port) continue;
    if (shutdown(fd, SHUT_RD) == 0) count++;
  }
  return count;
}
