// Counts the primes below its argument, with a thread for each processor that it may use.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long limit, threads;

static int is_prime(long number) {
    if (number < 4) return number > 1;
    if (number % 2 == 0) return 0;
    for (long i = 3; i * i <= number; i += 2)
        if (number % i == 0) return 0;
    return 1;
}

static void *count(void *first) {
    long found = 0;
    for (long number = (long)first; number < limit; number += threads)
        found += is_prime(number);
    return (void *)found;
}

int main(int argc, char **argv) {
    limit = argc > 1 ? atol(argv[1]) : 1000;
    threads = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t *running = malloc(sizeof *running * threads);
    long sum = 0;
    for (long i = 0; i < threads; i++)
        if (pthread_create(&running[i], NULL, count, (void *)i)) return 1;
    for (long i = 0; i < threads; i++) {
        void *found;
        pthread_join(running[i], &found);
        sum += (long)found;
    }
    printf("%ld primes below %ld, by %ld threads\n", sum, limit, threads);
    FILE *file = fopen("/golem/output/primes.txt", "w");
    if (!file) return 1;
    fprintf(file, "%ld\n", sum);
    return fclose(file) != 0;
}
