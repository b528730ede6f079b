/* libmodsecurity alone over the requests of api_mix.lua: microseconds of processor time per request.
 *
 *   cc -O2 -o modsecurity modsecurity.c -lmodsecurity && ./modsecurity MAIN.conf [ROUNDS]
 */
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *targets[] = {
    "/api/v1/products?category=garden&page=2&sort=price&order=asc",
    "/api/v1/products/42",
    "/api/v1/search?q=blue+widget+with+handle&limit=20&lang=en",
    "/api/v1/orders",
};

static const char *headers[][2] = {
    {"Host", "api.example.com"},
    {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    {"Accept", "application/json"},
    {"Accept-Language", "en-US,en;q=0.5"},
    {"X-Request-Id", "2f1c6d0e-5c7b-4a53-9f0e-1b2c3d4e5f60"},
    {"Cookie", "session=0f8fad5b-d9cb-469f-a165-70867728950e; theme=dark"},
};

static const char body[] =
    "{\"name\":\"Blue widget\",\"quantity\":12,\"price\":19.99,\"tags\":[\"garden\",\"tools\",\"outdoor\"],"
    "\"address\":{\"street\":\"12 Harbour Street\",\"city\":\"Galway\",\"postcode\":\"H91 X2Y3\",\"country\":\"IE\"},"
    "\"notes\":\"Please leave the parcel with a neighbour if nobody is at home. Ring twice, the bell is quiet.\","
    "\"customer\":{\"id\":88123,\"email\":\"ann.murphy@example.com\",\"phone\":\"+353 91 555 0101\",\"newsletter\":true},"
    "\"items\":[{\"sku\":\"BW-100\",\"qty\":2},{\"sku\":\"GT-220\",\"qty\":1},{\"sku\":\"PL-310\",\"qty\":9}],"
    "\"delivery\":{\"date\":\"2026-12-01\",\"slot\":\"morning\"}}";

static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add(Transaction *transaction, const char *name, const char *value) {
    msc_add_n_request_header(transaction, (const unsigned char *)name, strlen(name),
                             (const unsigned char *)value, strlen(value));
}

static int request(ModSecurity *engine, RulesSet *rules, int which) {
    Transaction *transaction = msc_new_transaction(engine, rules, NULL);
    msc_process_connection(transaction, "192.0.2.7", 40000, "127.0.0.1", 80);
    msc_process_uri(transaction, targets[which], which == 3 ? "POST" : "GET", "1.1");
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) add(transaction, headers[i][0], headers[i][1]);
    if (which == 3) {
        char length[16];
        snprintf(length, sizeof length, "%zu", sizeof body - 1);
        add(transaction, "Content-Type", "application/json");
        add(transaction, "Content-Length", length);
    }
    msc_process_request_headers(transaction);
    if (which == 3) msc_append_request_body(transaction, (const unsigned char *)body, sizeof body - 1);
    msc_process_request_body(transaction);
    ModSecurityIntervention intervention = {200, 0, NULL, NULL, 0};
    int blocked = msc_intervention(transaction, &intervention);
    free(intervention.log);
    free(intervention.url);
    msc_transaction_cleanup(transaction);
    return blocked;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s MAIN.conf [ROUNDS]\n", argv[0]);
        return 2;
    }
    int rounds = argc > 2 ? atoi(argv[2]) : 250;
    ModSecurity *engine = msc_init();
    RulesSet *rules = msc_create_rules_set();
    const char *error = NULL;
    if (msc_rules_add_file(rules, argv[1], &error) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], error);
        return 1;
    }
    int blocked = 0;
    for (int i = 0; i < 4; i++) blocked += request(engine, rules, i);
    double start = processor_seconds();
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < 4; i++) blocked += request(engine, rules, i);
    double spent = processor_seconds() - start;
    printf("libmodsecurity %.1f us a request, %d blocked\n", spent * 1e6 / (rounds * 4), blocked);
    return 0;
}
