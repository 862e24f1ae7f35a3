/*
 * Many relays at once: reads lines of "user password code" and has a whole conversation for each,
 * in as many threads as are asked for. Prints how many were granted and the seconds that it took.
 *
 *   relays SOCKET THREADS <LINES
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST_LINES = 100000, MOST_THREADS = 1024, MOST_PACKET = 2048 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char *lines[MOST_LINES];
static int count;
static int next_line;
static int granted;

static char say(int fd, const char *packet, size_t length, char *reply)
{
    ssize_t got = -1;

    if (send(fd, packet, length, MSG_NOSIGNAL) == (ssize_t)length)
        got = recv(fd, reply, MOST_PACKET, 0);
    return got > 0 ? reply[0] : 0;
}

static int log_in(const char *user, const char *password, const char *code)
{
    char packet[MOST_PACKET];
    char reply[MOST_PACKET];
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    int length = snprintf(packet, sizeof(packet), "H1%cauth%csshd%c%s%c192.0.2.7%cssh", 0, 0, 0,
                          user, 0, 0);

    good = good && say(fd, packet, (size_t)length, reply) == 'P';
    length = snprintf(packet, sizeof(packet), "A%s", password);
    good = good && say(fd, packet, (size_t)length, reply) == 'N';
    good = good && say(fd, "C", 1, reply) == 'P';
    length = snprintf(packet, sizeof(packet), "A%s", code);
    good = good && say(fd, packet, (size_t)length, reply) == 'G';
    close(fd);
    return good;
}

static void *work(void *unused)
{
    int number;

    while ((number = __atomic_fetch_add(&next_line, 1, __ATOMIC_RELAXED)) < count) {
        char *rest = lines[number];
        const char *user = strsep(&rest, " ");
        const char *password = strsep(&rest, " ");
        if (log_in(user, password, strsep(&rest, " \n")))
            __atomic_fetch_add(&granted, 1, __ATOMIC_RELAXED);
    }
    return unused;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    pthread_t threads[MOST_THREADS];
    int wanted = argc == 3 ? atoi(argv[2]) : 0;
    char *line = NULL;
    size_t size = 0;
    double started;

    if (wanted < 1 || wanted > MOST_THREADS || strlen(argv[1]) >= sizeof(address.sun_path))
        return 2;
    strcpy(address.sun_path, argv[1]);
    while (count < MOST_LINES && getline(&line, &size, stdin) > 0)
        lines[count++] = strdup(line);
    started = now();
    for (int i = 0; i < wanted; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    for (int i = 0; i < wanted; i++)
        pthread_join(threads[i], NULL);
    printf("%d %.6f\n", granted, now() - started);
    return 0;
}
