#include "tests/support/keyvault_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_main.h"

enum { OPTIONS_MAX = 32 };

static unsigned vaults_count;

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "keyvault_emulator of the test: %s: %s\n", what, detail ? detail : "");
    abort();
}

/* ------------------------------------------------------------------ the process -- */

static void run_emulator(const char *program, const char *folder, const char *const *options,
                         int input, int output)
{
    const char *words[OPTIONS_MAX + 5] = { program, "--until-eof", "--folder", folder };
    for (size_t i = 0; options && options[i] && i < OPTIONS_MAX; i++)
        words[4 + i] = options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    execv(program, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Starts it between two pipes; the descriptor of its output, or -1. */
static int spawn(struct cm_keyvault *vault, const char *const *options)
{
    const char *program = getenv("KEYVAULT_EMULATOR");
    int input[2], output[2];
    if (!program || pipe2(input, O_CLOEXEC) != 0)
        return -1;
    if (pipe2(output, O_CLOEXEC) != 0) {
        close(input[0]);
        close(input[1]);
        return -1;
    }
    vault->pid = fork();
    if (vault->pid == 0)
        run_emulator(program, vault->folder, options, input[0], output[1]);
    close(input[0]);
    close(output[1]);
    vault->input = input[1];
    return output[0];
}

static bool read_start(struct cm_keyvault *vault, int output)
{
    FILE *file = fdopen(output, "r");
    json_t *line = file ? json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    const char *certificate = NULL;
    bool good = line
                && json_unpack(line, "{sisiss}", "port", &vault->port, "control_port",
                               &vault->control_port, "certificate", &certificate)
                       == 0;
    if (good) {
        snprintf(vault->certificate, sizeof vault->certificate, "%s", certificate);
        snprintf(vault->url, sizeof vault->url, "https://127.0.0.1:%d", vault->port);
        snprintf(vault->control_url, sizeof vault->control_url, "http://127.0.0.1:%d",
                 vault->control_port);
    }
    json_decref(line);
    if (file)
        fclose(file);
    return good;
}

bool cm_keyvault_start(struct cm_keyvault *vault, const char *const *options)
{
    *vault = (struct cm_keyvault){ .input = -1 };
    snprintf(vault->folder, sizeof vault->folder, "%s/keyvault-%u", cm_test_scratch(),
             vaults_count++);
    if (mkdir(vault->folder, 0700) != 0)
        return false;
    int output = spawn(vault, options);
    if (output >= 0 && vault->pid > 0 && read_start(vault, output))
        return true;
    cm_keyvault_stop(vault);
    return false;
}

void cm_keyvault_stop(struct cm_keyvault *vault)
{
    if (vault->input >= 0)
        close(vault->input);
    vault->input = -1;
    if (vault->pid > 0) {
        kill(vault->pid, SIGTERM);
        waitpid(vault->pid, NULL, 0);
    }
    vault->pid = 0;
}

/* ------------------------------------------------------------------ the control port -- */

static int connect_to(const struct cm_keyvault *vault)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)vault->control_port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect to its control port", "");
    return fd;
}

static char *read_all(FILE *stream)
{
    char *text = NULL, piece[4096];
    size_t size = 0, count;
    FILE *out = open_memstream(&text, &size);
    while (out && (count = fread(piece, 1, sizeof piece, stream)) > 0)
        fwrite(piece, 1, count, out);
    if (!out || fclose(out) != 0)
        abort();
    return text;
}

char *cm_keyvault_control(struct cm_keyvault *vault, const char *method, const char *path,
                          const char *body)
{
    FILE *stream = fdopen(connect_to(vault), "r+");
    if (!stream)
        abort();
    /* HTTP/1.0: the answer ends with the connection. */
    fprintf(stream, "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", method, path,
            body ? strlen(body) : 0, body ? body : "");
    fflush(stream);
    char *answer = read_all(stream), *content = strstr(answer, "\r\n\r\n");
    fclose(stream);
    if (!content || strncmp(answer, "HTTP/1.0 200 ", 13) != 0)
        die(path, answer);
    content = strdup(content + 4);
    free(answer);
    return content;
}

void cm_keyvault_fault(struct cm_keyvault *vault, const char *json)
{
    free(cm_keyvault_control(vault, "POST", "/emulator/faults", json));
}

void cm_keyvault_clear_faults(struct cm_keyvault *vault)
{
    free(cm_keyvault_control(vault, "DELETE", "/emulator/faults", NULL));
}

long long cm_keyvault_statistic(struct cm_keyvault *vault, const char *name)
{
    char *text = cm_keyvault_control(vault, "GET", "/emulator/statistics", NULL);
    json_t *numbers = json_loads(text, 0, NULL);
    json_t *group =
        strncmp(name, "requests.", 9) == 0 ? json_object_get(numbers, "requests") : NULL;
    json_t *number = json_object_get(group ? group : numbers, group ? name + 9 : name);
    if (!json_is_integer(number))
        die("there is no such statistic", name);
    long long value = json_integer_value(number);
    json_decref(numbers);
    free(text);
    return value;
}

void cm_keyvault_create_key(struct cm_keyvault *vault, const char *name, const char *members,
                            char ret_kid[CM_KEYVAULT_KID_SIZE])
{
    char path[256];
    snprintf(path, sizeof path, "/emulator/vault/keys/%s/create?api-version=7.6", name);
    char *text = cm_keyvault_control(vault, "POST", path, members);
    json_t *bundle = json_loads(text, 0, NULL);
    const char *kid = json_string_value(json_object_get(json_object_get(bundle, "key"), "kid"));
    if (!kid)
        die("there is no kid in the bundle", text);
    if (ret_kid)
        snprintf(ret_kid, CM_KEYVAULT_KID_SIZE, "%s", kid);
    json_decref(bundle);
    free(text);
}
