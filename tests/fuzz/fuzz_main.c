/*
 * Replays files and folders through a fuzz target, for builds without libFuzzer: the seeds and
 * every input that once failed then run as ordinary tests.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The copy is exactly as large as the file, so that the sanitizers see the first byte too many. */
static int replay_file(const char *path)
{
    static uint8_t space[FILE_SIZE_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    size_t size = fread(space, 1, sizeof space, file);
    fclose(file);
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return -1;
    for (size_t i = 0; i < size; i++)
        copy[i] = space[i];
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 1;
}

static int replay_folder(const char *path)
{
    int files = 0;
    char name[4096];
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    for (struct dirent *entry; files >= 0 && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int replayed = replay_file(name);
        files = replayed < 0 ? -1 : files + replayed;
    }
    closedir(folder);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        int replayed = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode)
                           ? replay_folder(argv[i])
                           : replay_file(argv[i]);
        if (replayed < 0)
            return 1;
        files += replayed;
    }
    printf("%d inputs\n", files);
    return files > 0 ? 0 : 1;
}
