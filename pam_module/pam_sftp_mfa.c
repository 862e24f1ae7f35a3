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
#define BEGUN "sftp-mfa: the password line ran"
#define REFUSED "sftp-mfa: the refused line ran"
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SECONDS = 10,
    MOST_SECONDS = 60,
    MOST_HELLO = 2047, /* beside the type byte */
    MOST_ANSWER = 1024,
    MOST_TEXT = 512,
    MOST_SHOWN = 16,
    MOST_PATH = sizeof(((struct sockaddr_un *)NULL)->sun_path),
    FAIL_DELAY = 2000000, /* microseconds; pam_unix's, so that time does not tell who refused */
    RETRY_NS = 10000000,
    GOES_ON = -1, /* beside the PAM codes: the line has not ended */
};

enum line { NO_LINE = 0, PASSWORD_LINE = 1, REFUSED_LINE = 2, CODE_LINE = 4, ACCOUNT_LINE = 8 };
#define AUTH_LINES (PASSWORD_LINE | CODE_LINE)
#define ALL_LINES (AUTH_LINES | ACCOUNT_LINE)

/* One call from libpam. */
struct relay {
    pam_handle_t *pamh;
    bool silent;
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

struct rule {
    char type;
    unsigned int lines;
    size_t least, most;
    int result;
};

static const struct rule RULES[] = {
    {'P', AUTH_LINES, 1, MOST_TEXT, GOES_ON},
    {'T', ALL_LINES, 1, MOST_TEXT, GOES_ON},
    {'N', PASSWORD_LINE, 0, MOST_ANSWER, PAM_IGNORE},
    {'S', PASSWORD_LINE, 0, 0, PAM_IGNORE},
    {'G', ALL_LINES, 0, 0, PAM_SUCCESS},
    {'D', AUTH_LINES, 0, 0, PAM_AUTH_ERR},
    {'D', ACCOUNT_LINE, 0, 0, PAM_PERM_DENIED},
    {'U', ALL_LINES, 0, 0, PAM_AUTHINFO_UNAVAIL},
};

/* The arguments */

static bool take_seconds(int *seconds, const char *value)
{
    bool first = *seconds == 0;

    for (; *value >= '0' && *value <= '9' && *seconds <= MOST_SECONDS; value++)
        *seconds = 10 * *seconds + (*value - '0');
    return first && *value == '\0' && *seconds >= 1 && *seconds <= MOST_SECONDS;
}

static enum line line_of(const char *argument)
{
    enum line line = NO_LINE;

    if (strcmp(argument, "password") == 0)
        line = PASSWORD_LINE;
    else if (strcmp(argument, "refused") == 0)
        line = REFUSED_LINE;
    else if (strcmp(argument, "code") == 0)
        line = CODE_LINE;
    return line;
}

static bool take_argument(struct relay *relay, const char *argument)
{
    enum line line = line_of(argument);
    const char *equals = strchr(argument, '=');
    const char *value = equals == NULL ? "" : equals + 1;
    bool good = false;

    if (line != NO_LINE) {
        good = relay->line == NO_LINE;
        relay->line = line;
    } else if (strncmp(argument, "socket=", 7) == 0) {
        good = relay->path == NULL && value[0] == '/' && strlen(value) < MOST_PATH;
        relay->path = value;
    } else if (strncmp(argument, "user=", 5) == 0) {
        good = relay->user == NULL && value[0] != '\0';
        relay->user = value;
    } else if (strncmp(argument, "timeout=", 8) == 0) {
        good = take_seconds(&relay->seconds, value);
    }
    return good;
}

static bool take_arguments(struct relay *relay, int argc, const char **argv)
{
    const char *wrong = NULL;

    for (int i = 0; wrong == NULL && i < argc; i++)
        if (!take_argument(relay, argv[i]))
            wrong = argv[i];
    if (wrong == NULL && relay->line == NO_LINE)
        wrong = "none of password, refused, code";
    if (wrong != NULL)
        pam_syslog(relay->pamh, LOG_ERR,
                   "bad argument (%.200s): unknown, malformed, given twice or not for this line; "
                   "mend the PAM service file; refusing",
                   wrong);
    relay->path = relay->path == NULL ? SOCKET_PATH : relay->path;
    relay->user = relay->user == NULL ? HELPER_USER : relay->user;
    relay->seconds = relay->seconds == 0 ? SECONDS : relay->seconds;
    return wrong == NULL;
}

/* Reaching the helper: each step answers NULL, or why not */

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *find_user(const char *name, uid_t *uid)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];

    (void)getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
    *uid = found == NULL ? 0 : found->pw_uid;
    return found == NULL ? "its user, argument user=, is not to be found" : NULL;
}

static const char *check_path(const char *path, uid_t helper)
{
    char folder[MOST_PATH];
    size_t length = (size_t)(strrchr(path, '/') - path);
    struct stat parent;
    struct stat file;
    const char *wrong = NULL;

    memcpy(folder, path, length + 1);
    folder[length > 0 ? length : 1] = '\0';
    if (lstat(folder, &parent) != 0 || lstat(path, &file) != 0)
        wrong = strerror(errno);
    else if (!S_ISDIR(parent.st_mode) || !S_ISSOCK(file.st_mode))
        wrong = "not a socket in a folder, or a link";
    else if ((parent.st_uid != 0 && parent.st_uid != helper) ||
             (file.st_uid != 0 && file.st_uid != helper))
        wrong = "socket or folder belongs to neither root nor the helper's user";
    else if ((parent.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        wrong = "its folder may be written by group or others";
    return wrong;
}

static const char *connect_to(struct relay *relay)
{
    const struct timespec pause = {.tv_nsec = RETRY_NS};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int64_t deadline = now_ms() + (int64_t)relay->seconds * 1000;
    bool connected = false;
    bool again;

    memcpy(address.sun_path, relay->path, strlen(relay->path));
    relay->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    again = relay->fd >= 0;
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
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;

    return known && (peer.uid == 0 || peer.uid == helper)
               ? NULL
               : "who listens there is neither root nor the helper's user";
}

static bool reach_helper(struct relay *relay)
{
    uid_t helper;
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

/* Packets: errno tells of a failure */

static bool await(const struct relay *relay, short event)
{
    struct pollfd ready = {.fd = relay->fd, .events = event};
    int64_t deadline = now_ms() + (int64_t)relay->seconds * 1000;
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
    ssize_t count = -1;

    if (await(relay, POLLIN))
        count = recv(relay->fd, packet, size, 0);
    if (count == 0)
        errno = ECONNRESET;
    *length = count > 0 ? (size_t)count : 0;
    return count > 0;
}

/* Payloads leave from where they lie, so that no copy of an answer is left to wipe. */
static bool tell(const struct relay *relay, char type, char *payload, size_t length)
{
    struct iovec parts[] = {{&type, 1}, {payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = LENGTH(parts)};
    char early;
    ssize_t count = recv(relay->fd, &early, 1, MSG_PEEK);

    if (count > 0 && early != 'D' && early != 'U') {
        /* What the helper said before it was told is no answer to it: it may only have given up. */
        errno = EPROTO;
        count = -1;
    } else if (count == 0) {
        errno = ECONNRESET;
        count = -1;
    } else if (count < 0) {
        do {
            count = sendmsg(relay->fd, &message, MSG_NOSIGNAL);
        } while (count < 0 && (errno == EINTR || (errno == EAGAIN && await(relay, POLLOUT))));
    }
    return count >= 0;
}

static int broken(const struct relay *relay)
{
    pam_syslog(relay->pamh, LOG_ERR, "the helper at %s failed (%m): see its log; refusing",
               relay->path);
    return PAM_AUTHINFO_UNAVAIL;
}

/* The conversation */

static bool append(char *hello, size_t *length, const char *item)
{
    size_t size = strlen(item);
    bool fits = size < MOST_HELLO - *length;

    if (fits) {
        hello[*length] = '\0';
        memcpy(hello + *length + 1, item, size);
        *length += 1 + size;
    }
    return fits;
}

/* The names are a stranger's: carried as bytes, never logged. */
static bool compose_hello(const struct relay *relay, char *hello, size_t *length)
{
    static const int ITEMS[] = {PAM_SERVICE, PAM_USER, PAM_RHOST, PAM_TTY};
    const char *user;
    bool good;

    hello[0] = '1';
    *length = 1;
    /* This also names the user for good where the application did not, so that no later module
     * asks for another one. */
    good = pam_get_user(relay->pamh, &user, NULL) == PAM_SUCCESS &&
           append(hello, length, relay->line == ACCOUNT_LINE ? "account" : "auth");
    for (size_t i = 0; good && i < LENGTH(ITEMS); i++) {
        const void *item = NULL;
        (void)pam_get_item(relay->pamh, ITEMS[i], &item);
        good = append(hello, length, item == NULL ? "" : item);
    }
    if (!good)
        pam_syslog(relay->pamh, LOG_NOTICE, "no user name, or names above %d bytes: refusing",
                   MOST_HELLO);
    return good;
}

static bool open_conversation(struct relay *relay)
{
    char hello[MOST_HELLO];
    size_t length;
    bool opened = compose_hello(relay, hello, &length) && reach_helper(relay);

    if (opened && !tell(relay, 'H', hello, length)) {
        opened = false;
        (void)broken(relay);
    }
    return opened;
}

static void wipe(char *answer)
{
    if (answer != NULL)
        explicit_bzero(answer, strlen(answer));
    free(answer);
}

static int ask(struct relay *relay, const char *prompt)
{
    char *answer = NULL;
    int result = PAM_AUTHINFO_UNAVAIL;

    relay->asked = true;
    /* When this fails the client has left or cannot be asked, and libpam logs it. sshd takes any
     * code as a refusal, but PAM_MAXTRIES and PAM_ACCT_EXPIRED as the end of more than this
     * attempt; so it is the code of all breakage. */
    if (pam_prompt(relay->pamh, PAM_PROMPT_ECHO_OFF, &answer, "%s", prompt) == PAM_SUCCESS) {
        size_t length = answer == NULL ? 0 : strlen(answer);
        bool carried = answer != NULL && length <= MOST_ANSWER;
        bool told = carried ? tell(relay, 'A', answer, length) : tell(relay, 'X', NULL, 0);
        result = told ? GOES_ON : broken(relay);
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

static const struct rule *find_rule(enum line line, const char *packet, size_t length)
{
    const struct rule *found = NULL;

    for (const struct rule *rule = RULES; rule < RULES + LENGTH(RULES); rule++)
        if (rule->type == packet[0] && (rule->lines & line) != 0 && length > rule->least &&
            length <= 1 + rule->most && memchr(packet, '\0', length) == NULL)
            found = rule;
    return found;
}

static int heed(struct relay *relay, const struct rule *rule, const char *payload)
{
    int result = rule->result;

    if (rule->type == 'P') {
        result = ask(relay, payload);
    } else if (rule->type == 'T' && !relay->silent) {
        /* A text that a client does not show makes the login no less right. */
        (void)pam_prompt(relay->pamh, PAM_TEXT_INFO, NULL, "%s", payload);
    } else if (rule->type == 'N' &&
               pam_set_item(relay->pamh, PAM_AUTHTOK, payload) != PAM_SUCCESS) {
        result = PAM_AUTHINFO_UNAVAIL;
        pam_syslog(relay->pamh, LOG_ERR, "libpam does not take the password: refusing");
    } else if (rule->type == 'U') {
        pam_syslog(relay->pamh, LOG_ERR, "the helper at %s cannot decide: see its log; refusing",
                   relay->path);
    }
    return result;
}

/* Runs one line of the stack to its end. */
static int exchange(struct relay *relay)
{
    char packet[1 + MOST_ANSWER + 2]; /* a byte too many, so that too long shows, and a NUL */
    size_t length;
    int shown = 0;
    int result = GOES_ON;

    while (result == GOES_ON) {
        const struct rule *rule = NULL;
        if (!receive(relay, packet, sizeof(packet) - 1, &length)) {
            result = broken(relay);
        } else if ((rule = find_rule(relay->line, packet, length)) == NULL ||
                   (rule->result == GOES_ON && ++shown > MOST_SHOWN)) {
            result = PAM_AUTHINFO_UNAVAIL;
            pam_syslog(relay->pamh, LOG_ERR,
                       "the helper at %s sent what this line does not take (type 0x%02x, %zu bytes, "
                       "%d shown): are both of one version? refusing",
                       relay->path, (unsigned int)(unsigned char)packet[0], length, shown);
        } else {
            packet[length] = '\0';
            result = heed(relay, rule, packet + 1);
        }
        explicit_bzero(packet, sizeof(packet));
    }
    return result;
}

/* Keeping it from line to line */

static void end_conversation(pam_handle_t *pamh, void *data, int status)
{
    struct conversation *kept = data;

    (void)pamh;
    if (kept != NULL) {
        /* A child of sshd may have a copy, forked with the handle: end it for all of them, so
         * that the helper hears of it, unless libpam says that this is the copy. */
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

/* libpam forgets PAM_OLDAUTHTOK when a pam_authenticate starts and when it ends, and no auth module
 * needs it: it tells a line which ones ran before it in the same one. */
static bool mark(pam_handle_t *pamh, const char *line)
{
    return pam_set_item(pamh, PAM_OLDAUTHTOK, line) == PAM_SUCCESS;
}

static bool marked(pam_handle_t *pamh, const char *line)
{
    const void *item = NULL;

    return pam_get_item(pamh, PAM_OLDAUTHTOK, &item) == PAM_SUCCESS && item != NULL &&
           strcmp(item, line) == 0;
}

static int keep_conversation(struct relay *relay)
{
    struct conversation *kept = malloc(sizeof(*kept));
    int result = PAM_AUTHINFO_UNAVAIL;

    if (kept != NULL)
        *kept = (struct conversation){.fd = relay->fd, .owner = getpid()};
    if (kept != NULL && mark(relay->pamh, BEGUN) &&
        pam_set_data(relay->pamh, CONVERSATION, kept, end_conversation) == PAM_SUCCESS) {
        relay->fd = -1;
        result = PAM_IGNORE;
    } else {
        free(kept);
        pam_syslog(relay->pamh, LOG_ERR, "libpam does not keep the conversation: refusing");
    }
    return result;
}

/* The lines */

static void log_no_password_line(const struct relay *relay)
{
    pam_syslog(relay->pamh, LOG_ERR,
               "no line with password ran in this attempt: mend the PAM service file; refusing");
}

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

/* A substack that fails does not end the stack around it: this line is how the service file tells us
 * of it. By the end of the conversation the helper hears of it too. */
static int run_refused_line(struct relay *relay)
{
    bool good = marked(relay->pamh, BEGUN) && mark(relay->pamh, REFUSED);

    if (!good)
        log_no_password_line(relay);
    return good ? PAM_AUTH_ERR : PAM_AUTHINFO_UNAVAIL;
}

static int run_code_line(struct relay *relay)
{
    const struct conversation *kept = kept_conversation(relay->pamh);
    int result = PAM_AUTHINFO_UNAVAIL;

    if (marked(relay->pamh, REFUSED)) {
        result = PAM_AUTH_ERR;
    } else if (kept == NULL || kept->owner != getpid() || !marked(relay->pamh, BEGUN)) {
        log_no_password_line(relay);
    } else {
        relay->fd = kept->fd;
        result = tell(relay, 'C', NULL, 0) ? exchange(relay) : broken(relay);
    }
    return result;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    bool silent = ((unsigned int)flags & PAM_SILENT) != 0;
    struct relay relay = {.pamh = pamh, .silent = silent, .line = NO_LINE, .fd = -1};
    int result;

    if (!take_arguments(&relay, argc, argv))
        result = PAM_AUTHINFO_UNAVAIL;
    else if (relay.line == PASSWORD_LINE)
        result = run_password_line(&relay);
    else if (relay.line == REFUSED_LINE)
        result = run_refused_line(&relay);
    else
        result = run_code_line(&relay);
    if (result != PAM_IGNORE)
        drop_conversation(pamh);
    if (result != PAM_IGNORE && result != PAM_SUCCESS)
        (void)pam_fail_delay(pamh, FAIL_DELAY);
    return result;
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    bool silent = ((unsigned int)flags & PAM_SILENT) != 0;
    struct relay relay = {.pamh = pamh, .silent = silent, .line = ACCOUNT_LINE, .fd = -1};
    int result = PAM_AUTHINFO_UNAVAIL;

    if (take_arguments(&relay, argc, argv) && open_conversation(&relay))
        result = exchange(&relay);
    if (relay.fd >= 0)
        (void)close(relay.fd);
    return result;
}

/* Under keyboard-interactive libpam goes through the stack by these very codes. A success of the
 * `password` line, at which a token ends the stack, would leave out the setcred of the machine's own
 * modules. */
int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    int result = PAM_SUCCESS;

    (void)flags;
    for (int i = 0; i < argc; i++)
        if (line_of(argv[i]) == PASSWORD_LINE)
            result = PAM_IGNORE;
    drop_conversation(pamh);
    return result;
}
