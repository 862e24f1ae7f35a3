/*
 * A PAM application that test_relay.py steers over its standard input, one command a line, and that
 * tells on its standard output what libpam and the modules did. Bytes travel in hexadecimal.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <security/pam_appl.h>

enum { MOST_ANSWERS = 64, MASK = 0x5a, WINDOW = 1 << 20 };

void syslog(int priority, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...);
int count_copies(void);

static pam_handle_t *handle;
static char *answers[MOST_ANSWERS];
static size_t first_answer, last_answer;
static unsigned char masked[256]; /* what count_copies looks for, masked so as not to find itself */
static size_t masked_length;

static void tell_bytes(const char *what, const char *bytes)
{
    printf("%s ", what);
    for (; *bytes != '\0'; bytes++)
        printf("%02x", (unsigned int)(unsigned char)*bytes);
    printf("\n");
    fflush(stdout);
}

static void tell_number(const char *what, long number)
{
    printf("%s %ld\n", what, number);
    fflush(stdout);
}

static char *decode(const char *hex)
{
    size_t length = strlen(hex) / 2;
    char *bytes = calloc(length + 1, 1);

    for (size_t i = 0; bytes != NULL && i < length; i++) {
        unsigned int byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) == 1)
            bytes[i] = (char)byte;
    }
    return bytes;
}

/* In libpam's stead: its log lines go to the test. */
static void tell_log(int priority, const char *format, va_list arguments)
{
    char line[8192];

    vsnprintf(line, sizeof(line), format, arguments);
    printf("log %d ", priority & 7);
    tell_bytes("", line);
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell_log(priority, format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;

    (void)flag;
    va_start(arguments, format);
    tell_log(priority, format, arguments);
    va_end(arguments);
}

/* Answers a prompt with the next answer: `-` is empty; `null`, `none`, `fail` are ways of none; one
 * after `~` takes a moment. */
static int answer_prompt(struct pam_response **response)
{
    const char *answer = first_answer < last_answer ? answers[first_answer++] : "fail";
    int result = PAM_SUCCESS;

    if (answer[0] == '~') {
        usleep(200000);
        answer++;
    }
    if (strcmp(answer, "fail") == 0) {
        result = PAM_CONV_ERR;
    } else if (strcmp(answer, "none") != 0) {
        *response = calloc(1, sizeof(**response));
        if (*response == NULL)
            result = PAM_BUF_ERR;
        else if (strcmp(answer, "null") != 0)
            (*response)->resp = decode(strcmp(answer, "-") == 0 ? "" : answer);
    }
    return result;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **response,
                    void *data)
{
    int style = messages[0]->msg_style;
    int result = PAM_SUCCESS;

    (void)data;
    *response = NULL;
    if (count != 1) {
        result = PAM_CONV_ERR;
    } else if (style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON) {
        tell_bytes(style == PAM_PROMPT_ECHO_OFF ? "prompt" : "open-prompt", messages[0]->msg);
        result = answer_prompt(response);
    } else {
        tell_bytes("text", messages[0]->msg);
    }
    return result;
}

/* In place of waiting after a failure. */
static void tell_delay(int status, unsigned int microseconds, void *data)
{
    (void)data;
    if (status != PAM_SUCCESS)
        tell_number("delay", microseconds);
}

static const struct pam_conv conversation = {.conv = converse};

static void start(const char *folder, const char *service, const char *user)
{
    char *name = strcmp(user, "none") == 0 ? NULL : decode(strcmp(user, "-") == 0 ? "" : user);
    int result = pam_start_confdir(service, name, &conversation, folder, &handle);

    free(name);
    if (result == PAM_SUCCESS) {
        union {
            void (*function)(int, unsigned int, void *);
            const void *item;
        } delay = {.function = tell_delay};
        result = pam_set_item(handle, PAM_FAIL_DELAY, delay.item);
    }
    tell_number("start", result);
}

static void set_item(const char *name, const char *value)
{
    char *bytes = decode(value);
    int item = strcmp(name, "rhost") == 0 ? PAM_RHOST : strcmp(name, "tty") == 0 ? PAM_TTY : PAM_USER;

    tell_number("item", pam_set_item(handle, item, bytes));
    free(bytes);
}

static void queue_answers(char *answer)
{
    for (; answer != NULL && last_answer < MOST_ANSWERS; answer = strtok(NULL, " \n"))
        answers[last_answer++] = strdup(answer);
}

static void forget_answers(void)
{
    for (size_t i = 0; i < last_answer; i++)
        free(answers[i]);
    first_answer = last_answer = 0;
}

static void authenticate_in_child(void)
{
    pid_t child = fork();

    if (child == 0) {
        tell_number("authenticate", pam_authenticate(handle, 0));
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
}

static void ignore_signal(int signal)
{
    (void)signal;
}

/* `interrupted`: every wait is, fifty times a second. A module may have forked on the way. */
static void authenticate(const char *how)
{
    struct sigaction action = {.sa_handler = ignore_signal};
    struct itimerval often = {{.tv_usec = 20000}, {.tv_usec = 20000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    pid_t self = getpid();
    int result;

    sigaction(SIGALRM, &action, NULL);
    if (strcmp(how, "interrupted") == 0)
        setitimer(ITIMER_REAL, &often, NULL);
    result = pam_authenticate(handle, strcmp(how, "silent") == 0 ? PAM_SILENT : 0);
    setitimer(ITIMER_REAL, &never, NULL);
    tell_number("authenticate", result);
    if (getpid() != self)
        _exit(0);
}

static long count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    long count = -1; /* the folder's own */

    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    if (folder != NULL)
        closedir(folder);
    return count;
}

/* How many descriptors beyond the standard ones a program would get that is run from here. */
static long count_inheritable(void)
{
    long count = 0;

    for (int descriptor = 3; descriptor < 1024; descriptor++) {
        int flags = fcntl(descriptor, F_GETFD);
        count += flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}

static int copies_in(const unsigned char *bytes, size_t length)
{
    int copies = 0;

    for (size_t i = 0; i + masked_length <= length; i++) {
        size_t same = 0;
        while (same < masked_length && (bytes[i + same] ^ MASK) == masked[same])
            same++;
        copies += same == masked_length;
    }
    return copies;
}

/* How many copies of the secret lie in the memory that this process may write. */
int count_copies(void)
{
    static unsigned char window[WINDOW];
    FILE *maps = fopen("/proc/self/maps", "r");
    FILE *memory = fopen("/proc/self/mem", "r");
    char line[512];
    int copies = 0;

    if (maps == NULL || memory == NULL)
        abort();
    setvbuf(memory, NULL, _IONBF, 0);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long low, high;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &low, &high, mode) != 3 || mode[1] != 'w')
            continue;
        while (low < high) {
            size_t size = high - low < WINDOW ? high - low : WINDOW;
            if ((unsigned long)window >= low && (unsigned long)window < low + size)
                size = (unsigned long)window > low ? (unsigned long)window - low : 0;
            if (size == 0) { /* the window itself */
                low = (unsigned long)window + WINDOW;
                continue;
            }
            if (fseeko(memory, (off_t)low, SEEK_SET) != 0 || fread(window, 1, size, memory) != size)
                abort();
            copies += copies_in(window, size);
            low += size;
        }
    }
    memset(window, 0, sizeof(window));
    fclose(memory);
    fclose(maps);
    return copies;
}

static void look_for(const char *hex)
{
    masked_length = strlen(hex) / 2;
    for (size_t i = 0; i < masked_length && i < sizeof(masked); i++) {
        unsigned int byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) == 1)
            masked[i] = (unsigned char)byte;
    }
}

static void obey(const char *folder, char *command)
{
    char *word = strtok(command, " \n");
    char *first = strtok(NULL, " \n");
    char *second = strcmp(word, "answer") == 0 ? NULL : strtok(NULL, " \n");

    if (word == NULL)
        abort();
    else if (strcmp(word, "start") == 0)
        start(folder, first, second);
    else if (strcmp(word, "item") == 0)
        set_item(first, second == NULL ? "" : second);
    else if (strcmp(word, "answer") == 0)
        queue_answers(first);
    else if (strcmp(word, "authenticate") == 0)
        authenticate(first == NULL ? "" : first);
    else if (strcmp(word, "fork") == 0)
        authenticate_in_child();
    else if (strcmp(word, "account") == 0)
        tell_number(word, pam_acct_mgmt(handle, 0));
    else if (strcmp(word, "setcred") == 0)
        tell_number(word, pam_setcred(handle, PAM_ESTABLISH_CRED));
    else if (strcmp(word, "end") == 0)
        tell_number(word, pam_end(handle, PAM_SUCCESS));
    else if (strcmp(word, "look-for") == 0)
        look_for(first);
    else if (strcmp(word, "copies") == 0)
        tell_number(word, count_copies());
    else if (strcmp(word, "inheritable") == 0)
        tell_number(word, count_inheritable());
    else if (strcmp(word, "descriptors") == 0)
        tell_number(word, count_descriptors());
    else
        abort();
    if (strcmp(word, "answer") != 0)
        forget_answers();
    tell_number("done", 0);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;

    while (argc == 2 && getline(&line, &size, stdin) > 0)
        obey(argv[1], line);
    free(line);
    return 0;
}
