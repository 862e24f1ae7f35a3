/*
 * The relay that libpam loads into sshd: shows the helper's prompts, carries the answers back and
 * decides nothing. README.md, beside this file, tells the messages and the arguments.
 */
#define _GNU_SOURCE /* struct ucred */

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

#define SOCKET_PATH "/run/sftp-mfa/pam.sock"
#define HELPER_USER "sftp-mfa"
#define CONVERSATION "sftp_mfa_conversation"
#define MARK "sftp-mfa: the password line of this attempt"

enum {
    SECONDS = 10,
    MOST_SECONDS = 60,
    MOST_HELLO = 2047, /* beside the type byte */
    MOST_ANSWER = 1024,
    MOST_TEXT = 512,
    MOST_MESSAGES = 17, /* 16 prompts or texts, and the one that ends the line */
    MOST_PACKET = 1 + MOST_ANSWER,
    FAIL_DELAY = 2000000, /* microseconds; pam_unix's, so that the time does not tell who refused */
    RETRY_NS = 10000000,
    GOES_ON = -1, /* beside the PAM codes: the line has not ended */
};

enum line { NO_LINE = 0, PASSWORD_LINE = 1, CODE_LINE = 2, ACCOUNT_LINE = 4 };

/* One call from libpam. */
struct relay {
    pam_handle_t *pamh;
    int flags;
    enum line line;
    const char *path;
    const char *user;
    int seconds;
    int fd;
    bool asked;
};

/* What the handle keeps from the `password` line to the `code` line. */
struct conversation {
    int fd;
    pid_t owner;
};

static const struct {
    char type;
    unsigned int lines;
    size_t least;
    size_t most;
} MESSAGES[] = {
    {'P', PASSWORD_LINE | CODE_LINE, 1, MOST_TEXT},
    {'T', PASSWORD_LINE | CODE_LINE | ACCOUNT_LINE, 1, MOST_TEXT},
    {'N', PASSWORD_LINE, 1, MOST_ANSWER},
    {'S', PASSWORD_LINE, 0, 0},
    {'G', PASSWORD_LINE | CODE_LINE | ACCOUNT_LINE, 0, 0},
    {'D', PASSWORD_LINE | CODE_LINE | ACCOUNT_LINE, 0, 0},
    {'U', PASSWORD_LINE | CODE_LINE | ACCOUNT_LINE, 0, 0},
};

/* The arguments */

static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);

    return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

static bool take_seconds(struct relay *relay, const char *value)
{
    bool first = relay->seconds == 0;
    int seconds = 0;

    for (; *value >= '0' && *value <= '9' && seconds <= MOST_SECONDS; value++)
        seconds = 10 * seconds + (*value - '0');
    relay->seconds = seconds;
    return first && *value == '\0' && seconds >= 1 && seconds <= MOST_SECONDS;
}

static bool take_argument(struct relay *relay, const char *argument)
{
    const char *value;
    bool good = false;

    if (strcmp(argument, "password") == 0 || strcmp(argument, "code") == 0) {
        good = relay->line == NO_LINE;
        relay->line = argument[0] == 'p' ? PASSWORD_LINE : CODE_LINE;
    } else if ((value = value_of(argument, "socket=")) != NULL) {
        good = relay->path == NULL && value[0] == '/' &&
               strlen(value) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
        relay->path = value;
    } else if ((value = value_of(argument, "user=")) != NULL) {
        good = relay->user == NULL && value[0] != '\0';
        relay->user = value;
    } else if ((value = value_of(argument, "timeout=")) != NULL) {
        good = take_seconds(relay, value);
    }
    return good;
}

static bool take_arguments(struct relay *relay, int argc, const char **argv)
{
    bool good = true;

    for (int i = 0; good && i < argc; i++) {
        good = take_argument(relay, argv[i]);
        if (!good)
            pam_syslog(relay->pamh, LOG_ERR,
                       "argument \"%.200s\" is unknown, malformed, given twice or not for this "
                       "line: mend the PAM service file; refusing",
                       argv[i]);
    }
    if (good && relay->line == NO_LINE) {
        good = false;
        pam_syslog(relay->pamh, LOG_ERR,
                   "an auth line needs the argument \"password\" or \"code\": mend the PAM service "
                   "file; refusing");
    }
    if (relay->path == NULL)
        relay->path = SOCKET_PATH;
    if (relay->user == NULL)
        relay->user = HELPER_USER;
    if (relay->seconds == 0)
        relay->seconds = SECONDS;
    return good;
}

/* Reaching the helper: each step answers NULL, or why not */

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t deadline_of(const struct relay *relay)
{
    return now_ms() + (int64_t)relay->seconds * 1000;
}

static const char *find_user(const char *name, uid_t *uid)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];

    (void)getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
    if (found != NULL)
        *uid = found->pw_uid;
    return found != NULL ? NULL : "the helper's user (argument user=) does not exist";
}

static bool owned(const struct stat *file, uid_t helper)
{
    return file->st_uid == 0 || file->st_uid == helper;
}

static const char *check_path(const char *path, uid_t helper)
{
    char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    size_t length = (size_t)(strrchr(path, '/') - path);
    struct stat parent;
    struct stat file;
    const char *wrong = NULL;

    memcpy(directory, path, length + 1);
    directory[length > 0 ? length : 1] = '\0';
    if (lstat(directory, &parent) != 0 || lstat(path, &file) != 0)
        wrong = strerror(errno);
    else if (!S_ISDIR(parent.st_mode) || !owned(&parent, helper))
        wrong = "its folder must be one of root's or of the helper's user, and no link";
    else if ((parent.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        wrong = "its folder must not be writable by group or others";
    else if (!S_ISSOCK(file.st_mode) || !owned(&file, helper))
        wrong = "it must be a socket of root's or of the helper's user, and no link";
    return wrong;
}

static const char *connect_to(struct relay *relay)
{
    const struct timespec pause = {.tv_nsec = RETRY_NS};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int64_t deadline = deadline_of(relay);
    bool connected = false;
    bool again = true;

    memcpy(address.sun_path, relay->path, strlen(relay->path));
    relay->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    while (!connected && again) {
        connected = connect(relay->fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
        /* EAGAIN is a full backlog, which poll cannot wait for. */
        again = (errno == EAGAIN || errno == EINTR) && now_ms() < deadline;
        if (!connected && again)
            (void)nanosleep(&pause, NULL);
    }
    return connected ? NULL : strerror(errno);
}

static const char *check_peer(int fd, uid_t helper)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    bool good = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
                (peer.uid == 0 || peer.uid == helper);

    return good ? NULL : "who listens is neither root nor the helper's user";
}

static bool reach_helper(struct relay *relay)
{
    uid_t helper = 0;
    const char *wrong = find_user(relay->user, &helper);

    if (wrong == NULL)
        wrong = check_path(relay->path, helper);
    if (wrong == NULL)
        wrong = connect_to(relay);
    if (wrong == NULL)
        wrong = check_peer(relay->fd, helper);
    if (wrong != NULL)
        pam_syslog(relay->pamh, LOG_ERR,
                   "cannot reach the helper at %s (%s): is sftp-mfa serve-pam running? refusing",
                   relay->path, wrong);
    return wrong == NULL;
}

/* Packets: a failure is told by errno */

static bool await(int fd, short event, int64_t deadline)
{
    struct pollfd ready = {.fd = fd, .events = event};
    int count;

    do {
        int64_t left = deadline - now_ms();
        count = poll(&ready, 1, left > 0 ? (int)left : 0);
    } while (count < 0 && errno == EINTR);
    if (count == 0)
        errno = ETIMEDOUT;
    return count > 0;
}

static bool receive(const struct relay *relay, char *packet, size_t size, size_t *length)
{
    int64_t deadline = deadline_of(relay);
    ssize_t count;

    do {
        count = await(relay->fd, POLLIN, deadline) ? recv(relay->fd, packet, size, 0) : -1;
    } while (count < 0 && (errno == EAGAIN || errno == EINTR));
    if (count == 0)
        errno = ECONNRESET;
    *length = count > 0 ? (size_t)count : 0;
    return count > 0;
}

/* The helper speaks in turn: what came before we said this cannot be an answer to it. */
static bool quiet(int fd)
{
    char first;
    ssize_t count = recv(fd, &first, 1, MSG_PEEK);

    if (count >= 0)
        errno = count > 0 ? EPROTO : ECONNRESET;
    return count < 0 && errno == EAGAIN;
}

/* Sent from where it lies, so that no copy of an answer is left to wipe. */
static bool tell(const struct relay *relay, char type, char *payload, size_t length)
{
    struct iovec parts[] = {{.iov_base = &type, .iov_len = 1},
                            {.iov_base = payload, .iov_len = length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int64_t deadline = deadline_of(relay);
    ssize_t count = -1;

    if (quiet(relay->fd)) {
        do {
            count = sendmsg(relay->fd, &message, MSG_NOSIGNAL);
        } while (count < 0 &&
                 (errno == EINTR || (errno == EAGAIN && await(relay->fd, POLLOUT, deadline))));
    }
    return count >= 0;
}

static int broken(const struct relay *relay)
{
    pam_syslog(relay->pamh, LOG_ERR,
               "the helper at %s failed in mid-conversation (%m): see its log; refusing",
               relay->path);
    return PAM_AUTHINFO_UNAVAIL;
}

/* The conversation */

static bool append(char *hello, size_t *length, const char *item)
{
    size_t size = item == NULL ? 0 : strlen(item);
    bool fits = size < MOST_HELLO - *length;

    if (fits) {
        hello[(*length)++] = '\0';
        if (size > 0)
            memcpy(hello + *length, item, size);
        *length += size;
    }
    return fits;
}

/* The payload of `H`. The names are a stranger's: carried as bytes, and never logged. */
static bool compose_hello(const struct relay *relay, char *hello, size_t *length)
{
    static const int ITEMS[] = {PAM_SERVICE, PAM_USER, PAM_RHOST, PAM_TTY};
    const char *user = NULL;
    bool fits = true;

    hello[0] = '1';
    *length = 1;
    fits = append(hello, length, relay->line == ACCOUNT_LINE ? "account" : "auth");
    /* Names the user to libpam, if nobody has: the stack must not ask for another one later. */
    if (pam_get_user(relay->pamh, &user, NULL) != PAM_SUCCESS) {
        fits = false;
        pam_syslog(relay->pamh, LOG_NOTICE, "there is no user name: refusing");
    }
    for (size_t i = 0; fits && i < sizeof(ITEMS) / sizeof(ITEMS[0]); i++) {
        const void *item = NULL;
        (void)pam_get_item(relay->pamh, ITEMS[i], &item);
        fits = append(hello, length, item);
        if (!fits)
            pam_syslog(relay->pamh, LOG_NOTICE,
                       "the names of user, host and terminal exceed %d bytes: refusing",
                       MOST_HELLO);
    }
    return fits;
}

static bool open_conversation(struct relay *relay)
{
    char hello[MOST_HELLO];
    size_t length;
    bool opened = false;

    if (compose_hello(relay, hello, &length) && reach_helper(relay)) {
        opened = tell(relay, 'H', hello, length);
        if (!opened)
            (void)broken(relay);
    }
    return opened;
}

static void wipe(char *answer)
{
    if (answer != NULL) {
        explicit_bzero(answer, strlen(answer));
        free(answer);
    }
}

static int ask(struct relay *relay, const char *prompt)
{
    char *answer = NULL;
    size_t length;
    bool carried;
    int result = PAM_AUTHINFO_UNAVAIL;

    relay->asked = true;
    /* A failed conversation is a client that left or cannot be asked; libpam logs it. sshd takes
     * every code as "refused" but PAM_MAXTRIES and PAM_ACCT_EXPIRED, which would end more than
     * this attempt; so it shares the code of all that is not an answer. */
    if (pam_prompt(relay->pamh, PAM_PROMPT_ECHO_OFF, &answer, "%s", prompt) == PAM_SUCCESS) {
        length = answer == NULL ? 0 : strlen(answer);
        carried = answer != NULL && length <= MOST_ANSWER;
        if (tell(relay, carried ? 'A' : 'X', answer, carried ? length : 0))
            result = GOES_ON;
        else
            result = broken(relay);
    }
    wipe(answer);
    return result;
}

/* What a guesser sees while the helper is down: the prompt of always, then a refusal. */
static void ask_in_vain(const struct relay *relay)
{
    char *answer = NULL;

    (void)pam_prompt(relay->pamh, PAM_PROMPT_ECHO_OFF, &answer, "Password: ");
    wipe(answer);
}

static int show(const struct relay *relay, const char *text)
{
    /* A text that a client cannot show makes a login no less right. */
    if (((unsigned int)relay->flags & PAM_SILENT) == 0)
        (void)pam_prompt(relay->pamh, PAM_TEXT_INFO, NULL, "%s", text);
    return GOES_ON;
}

static int pass_on(const struct relay *relay, const char *password)
{
    int result = PAM_IGNORE;

    if (pam_set_item(relay->pamh, PAM_AUTHTOK, password) != PAM_SUCCESS) {
        result = PAM_AUTHINFO_UNAVAIL;
        pam_syslog(relay->pamh, LOG_ERR, "libpam does not take the password: refusing");
    }
    return result;
}

static int heed(struct relay *relay, char type, const char *payload)
{
    int result;

    switch (type) {
    case 'P':
        result = ask(relay, payload);
        break;
    case 'T':
        result = show(relay, payload);
        break;
    case 'N':
        result = pass_on(relay, payload);
        break;
    case 'S':
        result = PAM_IGNORE;
        break;
    case 'G':
        result = PAM_SUCCESS;
        break;
    case 'D':
        result = relay->line == ACCOUNT_LINE ? PAM_PERM_DENIED : PAM_AUTH_ERR;
        break;
    default: /* U */
        result = PAM_AUTHINFO_UNAVAIL;
        pam_syslog(relay->pamh, LOG_ERR, "the helper at %s cannot decide: see its log; refusing",
                   relay->path);
    }
    return result;
}

static bool lawful(enum line line, const char *packet, size_t length)
{
    size_t size = length - 1;
    bool good = false;

    for (size_t i = 0; i < sizeof(MESSAGES) / sizeof(MESSAGES[0]); i++)
        if (MESSAGES[i].type == packet[0])
            good = (MESSAGES[i].lines & line) != 0 && size >= MESSAGES[i].least &&
                   size <= MESSAGES[i].most && memchr(packet + 1, '\0', size) == NULL;
    return good;
}

/* Runs one line of the stack to its end. */
static int exchange(struct relay *relay)
{
    char packet[MOST_PACKET + 2]; /* a byte more than lawful, so that too long shows, and a NUL */
    size_t length;
    int messages = 0;
    int result = GOES_ON;

    while (result == GOES_ON) {
        if (!receive(relay, packet, sizeof(packet) - 1, &length)) {
            result = broken(relay);
        } else if (!lawful(relay->line, packet, length) || ++messages > MOST_MESSAGES) {
            result = PAM_AUTHINFO_UNAVAIL;
            pam_syslog(relay->pamh, LOG_ERR,
                       "the helper at %s sent what this line does not take (type 0x%02x, %zu "
                       "bytes, after %d): are both of one version? refusing",
                       relay->path, (unsigned int)(unsigned char)packet[0], length, messages);
        } else {
            packet[length] = '\0';
            result = heed(relay, packet[0], packet + 1);
        }
        explicit_bzero(packet, sizeof(packet));
    }
    return result;
}

/* Keeping it from line to line */

/* An attempt of the `password` method, which failed, leaves its conversation in the monitor's
 * handle, and the child that sshd forks for keyboard-interactive has a copy: shut it for both, so
 * that the helper hears of the end. */
static void end_conversation(pam_handle_t *pamh, void *data, int status)
{
    struct conversation *kept = data;

    (void)pamh;
    if (kept != NULL) {
        if (((unsigned int)status & PAM_DATA_SILENT) == 0)
            (void)shutdown(kept->fd, SHUT_RDWR);
        (void)close(kept->fd);
        free(kept);
    }
}

static const struct conversation *kept_conversation(pam_handle_t *pamh)
{
    const void *data = NULL;

    return pam_get_data(pamh, CONVERSATION, &data) == PAM_SUCCESS ? data : NULL;
}

static void drop_conversation(pam_handle_t *pamh)
{
    if (kept_conversation(pamh) != NULL)
        (void)pam_set_data(pamh, CONVERSATION, NULL, NULL);
}

static int keep_conversation(struct relay *relay)
{
    struct conversation *kept = malloc(sizeof(*kept));
    int result = PAM_AUTHINFO_UNAVAIL;

    if (kept != NULL) {
        kept->fd = relay->fd;
        kept->owner = getpid();
        /* libpam forgets PAM_OLDAUTHTOK when a pam_authenticate starts and when it ends, and no
         * module needs it there: it tells the `code` line that this line ran in the same one. */
        if (pam_set_item(relay->pamh, PAM_OLDAUTHTOK, MARK) == PAM_SUCCESS &&
            pam_set_data(relay->pamh, CONVERSATION, kept, end_conversation) == PAM_SUCCESS)
            result = PAM_IGNORE;
    }
    if (result == PAM_IGNORE) {
        relay->fd = -1;
    } else {
        free(kept);
        pam_syslog(relay->pamh, LOG_ERR, "libpam does not keep the conversation: refusing");
    }
    return result;
}

/* The lines */

static int run_password_line(struct relay *relay)
{
    int result = PAM_AUTHINFO_UNAVAIL;

    drop_conversation(relay->pamh);
    if (open_conversation(relay))
        result = exchange(relay);
    if (result == PAM_IGNORE)
        result = keep_conversation(relay);
    if (result == PAM_AUTHINFO_UNAVAIL && !relay->asked)
        ask_in_vain(relay);
    if (relay->fd >= 0)
        (void)close(relay->fd);
    return result;
}

static int run_code_line(struct relay *relay)
{
    const struct conversation *kept = kept_conversation(relay->pamh);
    const void *mark = NULL;
    int result = PAM_AUTHINFO_UNAVAIL;

    (void)pam_get_item(relay->pamh, PAM_OLDAUTHTOK, &mark);
    if (kept == NULL || kept->owner != getpid() || mark == NULL || strcmp(mark, MARK) != 0) {
        pam_syslog(relay->pamh, LOG_ERR,
                   "no conversation of this attempt: a line with \"password\" must come before the "
                   "one with \"code\", mend the PAM service file; refusing");
    } else {
        relay->fd = kept->fd;
        result = tell(relay, 'C', NULL, 0) ? exchange(relay) : broken(relay);
    }
    return result;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct relay relay = {.pamh = pamh, .flags = flags, .line = NO_LINE, .fd = -1};
    int result = PAM_AUTHINFO_UNAVAIL;

    if (take_arguments(&relay, argc, argv))
        result = relay.line == CODE_LINE ? run_code_line(&relay) : run_password_line(&relay);
    if (result != PAM_IGNORE)
        drop_conversation(pamh);
    if (result != PAM_IGNORE && result != PAM_SUCCESS)
        (void)pam_fail_delay(pamh, FAIL_DELAY);
    return result;
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct relay relay = {.pamh = pamh, .flags = flags, .line = ACCOUNT_LINE, .fd = -1};
    int result = PAM_AUTHINFO_UNAVAIL;

    if (take_arguments(&relay, argc, argv) && open_conversation(&relay))
        result = exchange(&relay);
    if (relay.fd >= 0)
        (void)close(relay.fd);
    return result;
}

/* Under keyboard-interactive libpam takes the stack's jumps from what setcred returns. */
int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)flags;
    (void)argc;
    (void)argv;
    drop_conversation(pamh);
    return PAM_SUCCESS;
}
