// The init of the reference VM: what a guest program can do at best on a distribution's kernel. It loads the modules that /modules lists,
// opens the port "agent" and obeys lines on it:
//   mount       the squashfs on /dev/vda under an overlay, and the 9p share "volume" on /volume inside; then chroot
//   exec ARG…   runs a program with the port as its standard output
//   end         powers the machine off
// Each is answered with a line "done CODE"; that the port is open is said as "done 0 INIT MODULES PORT", the guest's clock in seconds when
// init began, when the modules were loaded and when the port was open.
// NOLINTBEGIN(clang-analyzer-security.insecureAPI.*): C11's Annex K is not in glibc, and vfork is the point here
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char* what) {
    perror(what);
    reboot(RB_POWER_OFF);
    _exit(1);
}

static void load_modules(void) {
    FILE* list = fopen("/modules", "r");
    char path[256];
    while (list && fscanf(list, "%255s", path) == 1) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) die(path);
        close(fd);
    }
    if (list) fclose(list);
}

// The device of the port named "agent"; its name arrives a moment after the device.
static int open_port(void) {
    for (;;) {
        DIR* ports = opendir("/sys/class/virtio-ports");
        struct dirent* entry;
        while (ports && (entry = readdir(ports))) {
            char path[512];
            char name[16] = "";
            snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
            const int fd = open(path, O_RDONLY);
            if (fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, "agent\n") == 0) {
                snprintf(path, sizeof path, "/dev/%s", entry->d_name);
                const int port = open(path, O_RDWR | O_CLOEXEC);
                if (port < 0) die(path);
                return port;
            }
            if (fd >= 0) close(fd);
        }
        if (ports) closedir(ports);
        usleep(1000);
    }
}

// The share with the msize that `ya-runtime-vm` 0.5 asks for.
static int mount_root(void) {
    return mount("/dev/vda", "/lower", "squashfs", MS_RDONLY, NULL) != 0 || mount("tmpfs", "/rw", "tmpfs", 0, NULL) != 0 ||
           mkdir("/rw/upper", 0755) != 0 || mkdir("/rw/work", 0755) != 0 ||
           mount("overlay", "/root", "overlay", 0, "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work") != 0 ||
           (mkdir("/root/volume", 0755), mount("volume", "/root/volume", "9p", 0, "trans=virtio,version=9p2000.L,msize=16379")) != 0 ||
           chroot("/root") != 0 || chdir("/") != 0;
}

static int run(char** argv, int port) {
    const pid_t child = vfork();
    if (child == 0) {
        dup2(port, 1);  // NOLINT(clang-analyzer-unix.Vfork): Linux allows it, and nothing starts a program sooner
        execv(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int obey(char* line, int port) {
    char* argv[16];
    int argc = 0;
    for (char* word = strtok(line, " \n"); word && argc < 15; word = strtok(NULL, " \n"))
        argv[argc++] = word;
    argv[argc] = NULL;
    if (argc == 1 && strcmp(argv[0], "mount") == 0) return mount_root();
    if (argc > 1 && strcmp(argv[0], "exec") == 0) return run(argv + 1, port);
    reboot(RB_POWER_OFF);
    return 1;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void) {
    const double began = now();
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    load_modules();
    const double loaded = now();
    const int port = open_port();
    dprintf(port, "done 0 %.6f %.6f %.6f\n", began, loaded, now());
    char line[1024];
    size_t size = 0;
    for (;;) {
        const ssize_t n = read(port, line + size, sizeof line - 1 - size);
        if (n <= 0) {
            usleep(1000);  // the host's end is not there
            continue;
        }
        size += (size_t)n;
        line[size] = '\0';
        if (line[size - 1] != '\n') continue;
        size = 0;
        dprintf(port, "done %d\n", obey(line, port));
    }
}
// NOLINTEND(clang-analyzer-security.insecureAPI.*)
