/*
 * Stands where the machine's own modules stand: asks for a password unless one is there, tells the
 * driver's reader what it got and takes any but "wrong". With `fork` it carries on in a child, with
 * `copies` it counts the password's copies in memory, with `slow` it takes a moment.
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

extern int count_copies(void);

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    const char *password = NULL;
    int result = pam_get_authtok(pamh, PAM_AUTHTOK, &password, "Machine's password: ");

    (void)flags;
    printf("machine ");
    for (const char *byte = password; byte != NULL && *byte != '\0'; byte++)
        printf("%02x", (unsigned int)(unsigned char)*byte);
    printf("\n");
    fflush(stdout);
    if (password != NULL && strcmp(password, "wrong") == 0)
        result = PAM_AUTH_ERR;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "copies") == 0) {
            printf("copies %d\n", count_copies());
        } else if (strcmp(argv[i], "slow") == 0) {
            usleep(200000);
        } else if (strcmp(argv[i], "fork") == 0) {
            pid_t child = fork();
            if (child > 0) {
                (void)waitpid(child, NULL, 0);
                result = PAM_AUTH_ERR;
            }
        }
    }
    return result;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)pamh;
    (void)flags;
    (void)argc;
    (void)argv;
    printf("machine-setcred 1\n");
    fflush(stdout);
    return PAM_SUCCESS;
}
