#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/rand.h"
#include "common/ring/placement.h"

#define MAX_MEMBERS 1024

struct list {
    struct nx_placement_member items[MAX_MEMBERS];
    size_t count;
};

static void add(struct list *list, const char *prefix, size_t i, uint64_t zone, double weight)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "%s-%zu", prefix, i);
    assert_true(list->count < MAX_MEMBERS);
    list->items[list->count++] = (struct nx_placement_member){
        .key = nx_hash64(name, (size_t)len),
        .zone = zone,
        .weight = weight,
    };
}

static uint16_t *compute(const struct list *list, uint32_t partitions, uint32_t rf)
{
    uint16_t *owners = malloc(sizeof(*owners) * partitions * rf);
    assert_int_equal(nx_placement_compute(list->items, list->count, partitions, rf, owners), NX_OK);
    return owners;
}

static bool owns(const uint16_t *owners, uint32_t rf, uint16_t member)
{
    for (uint32_t i = 0; i < rf; i++) {
        if (owners[i] == member) {
            return true;
        }
    }
    return false;
}

/* How many of a's owners are not among b's. */
static uint32_t moved(const uint16_t *a, const uint16_t *b, uint32_t rf)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rf; i++) {
        count += owns(b, rf, a[i]) ? 0 : 1;
    }
    return count;
}

static void count_owned(const uint16_t *owners, size_t entries, size_t *owned, size_t members)
{
    memset(owned, 0, members * sizeof(*owned));
    for (size_t i = 0; i < entries; i++) {
        assert_true(owners[i] < members);
        owned[owners[i]]++;
    }
}

static void owners_of_a_partition_are_distinct(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    for (size_t i = 0; i < 7; i++) {
        add(&list, "ingester", i, (uint32_t)i, 1);
    }
    uint16_t *owners = compute(&list, 512, 3);
    for (size_t p = 0; p < 512; p++) {
        const uint16_t *o = owners + p * 3;
        assert_true(o[0] != o[1] && o[1] != o[2] && o[0] != o[2]);
    }
    free(owners);
}

static void members_fewer_than_rf_leave_none(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    uint16_t *owners = compute(&list, 16, 2);
    for (size_t i = 0; i < 32; i++) {
        assert_int_equal(owners[i], NX_PLACEMENT_NONE);
    }
    free(owners);
    add(&list, "a", 0, 0, 1);
    owners = compute(&list, 16, 2);
    for (size_t p = 0; p < 16; p++) {
        assert_int_equal(owners[p * 2], 0);
        assert_int_equal(owners[p * 2 + 1], NX_PLACEMENT_NONE);
    }
    free(owners);
}

static void input_out_of_range_is_invalid(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    uint16_t owners[65];
    add(&list, "a", 0, 0, 1);
    assert_int_equal(nx_placement_compute(list.items, 1, 1, 0, owners), NX_ERR_INVALID);
    assert_int_equal(nx_placement_compute(list.items, 1, 1, 65, owners), NX_ERR_INVALID);
    const double bad[] = {0, -1, 0.0 / 0.0, 1.0 / 0.0};
    for (size_t i = 0; i < 4; i++) {
        list.items[0].weight = bad[i];
        assert_int_equal(nx_placement_compute(list.items, 1, 1, 1, owners), NX_ERR_INVALID);
    }
}

/* 512 partitions are a draw of 512: the spread of a member's share is binomial. Over many sets of
 * names the mean must be exact and the deviation that of chance, and over many partitions every
 * share even. */
static void partitions_spread_as_evenly_as_chance_allows(void **state)
{
    (void)state;
    double squares = 0;
    size_t shares = 0;
    for (size_t set = 0; set < 50; set++) {
        struct list list = {.count = 0};
        char prefix[16];
        (void)snprintf(prefix, sizeof(prefix), "set%zu", set);
        for (size_t i = 0; i < 6; i++) {
            add(&list, prefix, i, (uint32_t)i, 1);
        }
        uint16_t *owners = compute(&list, 512, 3);
        size_t owned[6];
        count_owned(owners, 512 * 3, owned, 6);
        for (size_t i = 0; i < 6; i++) {
            double off = (double)owned[i] - 256;
            assert_true(off > -60 && off < 60);
            squares += off * off;
            shares++;
        }
        free(owners);
    }
    double variance = squares / (double)shares; /* binomial: 512 * 1/2 * 1/2 = 128 */
    assert_true(variance > 90 && variance < 170);

    struct list list = {.count = 0};
    for (size_t i = 0; i < 10; i++) {
        add(&list, "ingester", i, (uint32_t)i, 1);
    }
    uint16_t *owners = compute(&list, 65536, 3);
    size_t owned[10];
    count_owned(owners, 65536 * 3, owned, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_true(owned[i] > 19660 * 98 / 100 && owned[i] < 19660 * 102 / 100);
    }
    free(owners);
}

static void order_of_first_owner_is_spread_too(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    for (size_t i = 0; i < 3; i++) {
        add(&list, "ingester", i, (uint32_t)i, 1);
    }
    uint16_t *owners = compute(&list, 65536, 3);
    size_t first[3] = {0};
    size_t orders[27] = {0};
    for (size_t p = 0; p < 65536; p++) {
        const uint16_t *o = owners + p * 3;
        first[o[0]]++;
        orders[o[0] * 9 + o[1] * 3 + o[2]]++;
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(first[i] > 21845 - 600 && first[i] < 21845 + 600);
    }
    for (size_t i = 0; i < 27; i++) {
        assert_true(orders[i] == 0 || (orders[i] > 10922 - 500 && orders[i] < 10922 + 500));
    }
    free(owners);
}

static void weights_set_the_shares(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    double total = 0;
    for (size_t i = 0; i < 8; i++) {
        double weight = i < 4 ? 1 : (double)i * 0.75;
        total += weight;
        add(&list, "ingester", i, (uint32_t)i, weight);
    }
    const uint32_t partitions = 200000;
    uint16_t *owners = compute(&list, partitions, 1);
    size_t owned[8];
    count_owned(owners, partitions, owned, 8);
    for (size_t i = 0; i < 8; i++) {
        double expected = partitions * list.items[i].weight / total;
        assert_true((double)owned[i] > expected * 0.97 && (double)owned[i] < expected * 1.03);
    }
    free(owners);
}

static void adding_a_member_moves_its_share_and_nothing_else(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (size_t round = 0; round < 200; round++) {
        const uint32_t partitions = 512;
        uint32_t rf = 1 + (uint32_t)nx_rand_below(&rand, 4);
        uint32_t zones = 1 + (uint32_t)nx_rand_below(&rand, 6);
        size_t count = 1 + nx_rand_below(&rand, 20);
        bool weighted = nx_rand_below(&rand, 2) == 1;
        char prefix[24];
        (void)snprintf(prefix, sizeof(prefix), "round%zu", round);
        struct list list = {.count = 0};
        for (size_t i = 0; i <= count; i++) {
            add(&list, prefix, i, (uint32_t)nx_rand_below(&rand, zones),
                weighted ? 0.5 + nx_rand_unit(&rand) * 3 : 1);
        }
        uint16_t *with = compute(&list, partitions, rf);
        list.count--;
        uint16_t *without = compute(&list, partitions, rf);
        uint16_t added = (uint16_t)list.count;
        for (size_t p = 0; p < partitions; p++) {
            const uint16_t *now = with + p * rf;
            const uint16_t *before = without + p * rf;
            if (owns(now, rf, added)) {
                assert_int_equal(moved(now, before, rf), 1);
            } else {
                assert_memory_equal(now, before, rf * sizeof(*now));
            }
        }
        free(with);
        free(without);
    }
}

static void share_moved_to_a_new_member_is_one_nth(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    for (size_t i = 0; i < 10; i++) {
        add(&list, "ingester", i, (uint32_t)i, 1);
    }
    uint16_t *owners = compute(&list, 65536, 3);
    size_t gained = 0;
    for (size_t p = 0; p < 65536; p++) {
        gained += owns(owners + p * 3, 3, 9) ? 1 : 0;
    }
    assert_true(gained > 65536 * 3 / 10 - 700 && gained < 65536 * 3 / 10 + 700);
    free(owners);
}

static void zones_hold_one_copy_each_while_they_suffice(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 17);
    for (int round = 0; round < 100; round++) {
        struct list list = {.count = 0};
        uint32_t zones = 1 + (uint32_t)nx_rand_below(&rand, 5);
        uint32_t rf = 1 + (uint32_t)nx_rand_below(&rand, 5);
        for (size_t i = 0; i < 20; i++) {
            uint32_t zone = i < zones ? (uint32_t)i : (uint32_t)nx_rand_below(&rand, zones);
            add(&list, "m", i, zone * 1000 + 7, nx_rand_below(&rand, 2) ? 1 : 2.5);
        }
        uint16_t *owners = compute(&list, 256, rf);
        for (size_t p = 0; p < 256; p++) {
            uint32_t used[5] = {0};
            size_t available[5] = {0};
            for (size_t i = 0; i < list.count; i++) {
                available[list.items[i].zone / 1000]++;
            }
            uint32_t most = 0;
            for (uint32_t i = 0; i < rf; i++) {
                uint64_t zone = list.items[owners[p * rf + i]].zone / 1000;
                used[zone]++;
                most = used[zone] > most ? used[zone] : most;
            }
            for (uint32_t z = 0; z < zones; z++) {
                assert_true(used[z] + 1 >= most || used[z] == available[z]);
            }
        }
        free(owners);
    }
}

static void order_of_the_list_does_not_matter(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 23);
    struct list list = {.count = 0};
    for (size_t i = 0; i < 40; i++) {
        add(&list, "m", i, (uint32_t)(i % 5), 1 + (double)(i % 3));
    }
    uint16_t *owners = compute(&list, 512, 3);
    struct list shuffled = list;
    for (size_t i = list.count - 1; i > 0; i--) {
        size_t j = nx_rand_below(&rand, i + 1);
        struct nx_placement_member swap = shuffled.items[i];
        shuffled.items[i] = shuffled.items[j];
        shuffled.items[j] = swap;
    }
    uint16_t *again = compute(&shuffled, 512, 3);
    for (size_t i = 0; i < 512 * 3; i++) {
        assert_true(list.items[owners[i]].key == shuffled.items[again[i]].key);
    }
    free(owners);
    free(again);
}

/* Fixed for ever: a change of this number moves the data of every cluster. */
static void placement_is_the_one_clusters_were_built_with(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    for (size_t i = 0; i < 9; i++) {
        add(&list, "ingester", i, (uint32_t)(i % 3), 1 + 0.1 * (double)(i % 4));
    }
    uint16_t *owners = compute(&list, 512, 3);
    uint32_t crc = 0;
    for (size_t i = 0; i < 512 * 3; i++) {
        uint8_t bytes[2] = {(uint8_t)(owners[i] & 0xFF), (uint8_t)(owners[i] >> 8)};
        crc = nx_crc32c(crc, bytes, 2);
    }
    assert_int_equal(crc, 0xeb994853);
    free(owners);
}

/* Of this thread: others on the machine do not count. */
static double cpu_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void large_ring_is_placed_quickly(void **state)
{
    (void)state;
    for (int shape = 0; shape < 3; shape++) {
        struct list list = {.count = 0};
        for (size_t i = 0; i < 1000; i++) {
            uint32_t zone = shape == 0 ? (uint32_t)i : (uint32_t)(i % 3);
            add(&list, "ingester", i, zone, shape == 2 ? 1 + (double)(i % 4) : 1);
        }
        double begin = cpu_ms();
        uint16_t *owners = compute(&list, 16384, 3);
        double took = cpu_ms() - begin;
        print_message("1000 members, 16384 partitions, %s: %.1f ms\n",
                      shape == 0   ? "no zones"
                      : shape == 1 ? "3 zones"
                                   : "3 zones, 4 weights",
                      took);
        free(owners);
    }
}

/* --- members on the move -----------------------------------------------------------------------
 */

struct cluster {
    struct nx_placement_member items[24];
    size_t count;
    uint32_t rf;
};

/* Some settle, come and go; zones few, many or none; weights equal or not. */
static void draw_cluster(struct nx_rand *rand, struct cluster *cluster)
{
    uint64_t zones = nx_rand_below(rand, 4);
    uint64_t weights = 1 + nx_rand_below(rand, 3);
    cluster->count = 1 + nx_rand_below(rand, 14);
    cluster->rf = 1 + (uint32_t)nx_rand_below(rand, 4);
    for (size_t i = 0; i < cluster->count; i++) {
        bool moves = nx_rand_below(rand, 3) == 0;
        cluster->items[i] = (struct nx_placement_member){
            .key = nx_rand_u64(rand),
            .weight = 1 + (double)nx_rand_below(rand, weights),
            .zone = zones == 0 ? i : nx_rand_below(rand, zones * 2),
            .kind =
                moves ? (enum nx_placement_kind)(1 + nx_rand_below(rand, 4)) : NX_PLACEMENT_STAYS,
        };
    }
}

/* The owners when the members with a bit in `set` are all there is. */
static void owners_among(const struct cluster *cluster, uint64_t set, uint32_t partition,
                         uint16_t *owners)
{
    struct nx_placement_member members[24];
    memcpy(members, cluster->items, sizeof(members));
    for (size_t i = 0; i < cluster->count; i++) {
        members[i].kind = set >> i & 1 ? NX_PLACEMENT_STAYS : NX_PLACEMENT_OUT;
    }
    uint16_t *all = malloc(sizeof(*all) * (partition + 1) * cluster->rf);
    assert_int_equal(nx_placement_compute(members, cluster->count, partition + 1, cluster->rf, all),
                     NX_OK);
    memcpy(owners, all + (size_t)partition * cluster->rf, cluster->rf * sizeof(*owners));
    free(all);
}

static uint64_t members_of_kinds(const struct cluster *cluster, unsigned kinds)
{
    uint64_t set = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        set |= (uint64_t)(kinds >> cluster->items[i].kind & 1) << i;
    }
    return set;
}

#define KIND(kind) (1u << (kind))
#define MOVERS (KIND(NX_PLACEMENT_SETTLES) | KIND(NX_PLACEMENT_COMES) | KIND(NX_PLACEMENT_GOES))

static const uint16_t *writers_of(const struct nx_placement *placement, uint32_t partition,
                                  size_t *count)
{
    if (placement->writers) {
        *count = placement->writer_begin[partition + 1] - placement->writer_begin[partition];
        return placement->writers + placement->writer_begin[partition];
    }
    const uint16_t *owners = placement->owners + (size_t)partition * placement->rf;
    for (*count = 0; *count < placement->rf && owners[*count] != NX_PLACEMENT_NONE; ++*count) {
    }
    return owners;
}

static bool is_writer(const struct nx_placement *placement, uint32_t partition, uint16_t member)
{
    size_t count;
    const uint16_t *writers = writers_of(placement, partition, &count);
    for (size_t i = 0; i < count; i++) {
        if (writers[i] == member) {
            return true;
        }
    }
    return false;
}

typedef void (*placement_check)(const struct cluster *cluster, const struct nx_placement *placement,
                                uint32_t partition, struct nx_rand *rand);

/* Each partition of the placements of so many random clusters. */
static void check_partitions(uint64_t seed, size_t rounds, uint32_t partitions,
                             placement_check check)
{
    struct nx_rand rand;
    nx_rand_seeded(&rand, seed);
    for (size_t round = 0; round < rounds; round++) {
        struct cluster cluster;
        struct nx_placement *placement = NULL;
        draw_cluster(&rand, &cluster);
        assert_int_equal(
            nx_placement_new(cluster.items, cluster.count, partitions, cluster.rf, &placement),
            NX_OK);
        for (uint32_t p = 0; p < partitions; p++) {
            check(&cluster, placement, p, &rand);
        }
        nx_placement_free(placement);
    }
}

static void check_owners(const struct cluster *cluster, const struct nx_placement *placement,
                         uint32_t partition, struct nx_rand *rand)
{
    (void)rand;
    uint16_t expected[4];
    size_t at = (size_t)partition * cluster->rf;
    size_t bytes = cluster->rf * sizeof(*expected);
    unsigned both = KIND(NX_PLACEMENT_STAYS) | KIND(NX_PLACEMENT_SETTLES);
    owners_among(cluster, members_of_kinds(cluster, both | KIND(NX_PLACEMENT_GOES)), partition,
                 expected);
    assert_memory_equal(placement->owners + at, expected, bytes);
    owners_among(cluster, members_of_kinds(cluster, both | KIND(NX_PLACEMENT_COMES)), partition,
                 expected);
    assert_memory_equal(placement->next_owners + at, expected, bytes);
}

static void owners_and_next_owners_are_those_of_their_kinds(void **state)
{
    (void)state;
    check_partitions(41, 2000, 8, check_owners);
}

static void check_mixture(const struct cluster *cluster, const struct nx_placement *placement,
                          uint32_t partition, struct nx_rand *rand)
{
    uint16_t owners[4];
    uint64_t stays = members_of_kinds(cluster, KIND(NX_PLACEMENT_STAYS));
    uint64_t movers = members_of_kinds(cluster, MOVERS);
    owners_among(cluster, stays | (movers & nx_rand_u64(rand)), partition, owners);
    for (uint32_t i = 0; i < cluster->rf && owners[i] != NX_PLACEMENT_NONE; i++) {
        assert_true(is_writer(placement, partition, owners[i]));
    }
}

/* Whatever mixture of joiners has turned ACTIVE and of leavers has left: its owners are writers. */
static void writers_hold_the_owners_of_every_mixture(void **state)
{
    (void)state;
    check_partitions(42, 4000, 4, check_mixture);
}

static void check_writers(const struct cluster *cluster, const struct nx_placement *placement,
                          uint32_t partition, struct nx_rand *rand)
{
    (void)rand;
    size_t count;
    uint64_t stays = members_of_kinds(cluster, KIND(NX_PLACEMENT_STAYS));
    const uint16_t *writers = writers_of(placement, partition, &count);
    for (size_t w = 0; w < count; w++) {
        uint16_t owners[4];
        owners_among(cluster, stays | UINT64_C(1) << writers[w], partition, owners);
        assert_true(owns(owners, cluster->rf, writers[w]));
    }
}

/* And no member is a writer without a mixture that makes it an owner. */
static void writers_are_owners_of_some_mixture(void **state)
{
    (void)state;
    check_partitions(43, 1000, 4, check_writers);
}

static bool misses(const struct cluster *cluster, uint64_t mixture, uint64_t stored, uint32_t p,
                   uint32_t spare)
{
    uint16_t owners[4];
    uint32_t missed = 0;
    owners_among(cluster, mixture, p, owners);
    for (uint32_t i = 0; i < cluster->rf && owners[i] != NX_PLACEMENT_NONE; i++) {
        missed += stored >> owners[i] & 1 ? 0 : 1;
    }
    return missed > spare;
}

/* Against trying every mixture. */
static void write_is_safe_when_no_mixture_misses_it(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 44);
    size_t safe = 0;
    size_t unsafe = 0;
    for (size_t round = 0; round < 1500; round++) {
        struct cluster cluster;
        struct nx_placement *placement = NULL;
        draw_cluster(&rand, &cluster);
        assert_int_equal(nx_placement_new(cluster.items, cluster.count, 1, cluster.rf, &placement),
                         NX_OK);
        uint64_t movers = members_of_kinds(&cluster, MOVERS);
        uint64_t stays = members_of_kinds(&cluster, KIND(NX_PLACEMENT_STAYS));
        uint64_t stored = nx_rand_u64(&rand);
        stored |= nx_rand_u64(&rand); /* three in four */
        uint32_t spare = cluster.rf - (cluster.rf / 2 + 1);
        bool may_miss = false;
        for (uint64_t subset = movers;; subset = (subset - 1) & movers) {
            may_miss = may_miss || misses(&cluster, stays | subset, stored, 0, spare);
            if (subset == 0) {
                break;
            }
        }
        uint64_t zones[24];
        uint64_t writer_movers = 0;
        uint64_t writer_stored = 0;
        size_t count;
        const uint16_t *writers = writers_of(placement, 0, &count);
        for (size_t w = 0; w < count; w++) {
            zones[w] = cluster.items[writers[w]].zone;
            writer_movers |= (movers >> writers[w] & 1) << w;
            writer_stored |= (stored >> writers[w] & 1) << w;
        }
        assert_int_equal(
            nx_placement_may_miss(zones, count, writer_movers, writer_stored, cluster.rf, spare),
            may_miss);
        safe += !may_miss;
        unsafe += may_miss;
        nx_placement_free(placement);
    }
    assert_true(safe > 300 && unsafe > 300);
}

static void large_ring_with_movers_is_placed_quickly(void **state)
{
    (void)state;
    struct nx_placement_member *members = calloc(1000, sizeof(*members));
    for (size_t i = 0; i < 1000; i++) {
        members[i] = (struct nx_placement_member){
            .key = nx_hash64(&i, sizeof(i)), .weight = 1, .zone = i % 3};
    }
    for (int moving = 0; moving < 2; moving++) {
        struct nx_placement *placement = NULL;
        members[500].kind = moving ? NX_PLACEMENT_COMES : NX_PLACEMENT_STAYS;
        double begin = cpu_ms();
        assert_int_equal(nx_placement_new(members, 1000, 16384, 3, &placement), NX_OK);
        print_message("1000 members, 16384 partitions, %s: %.1f ms, %zu bytes\n",
                      moving ? "one joins" : "nothing moves", cpu_ms() - begin, placement->bytes);
        assert_true(placement->bytes < 1 << 20);
        nx_placement_free(placement);
    }
    free(members);
}

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

static void allocation_failing_is_out_of_memory(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    add(&list, "a", 0, 0, 1);
    uint16_t owner = 77;
    for (long n = 0; n < 5; n++) {
        long left = n;
        nx_alloc_set_hook(fail_countdown, &left);
        enum nx_err err = nx_placement_compute(list.items, 1, 1, 1, &owner);
        nx_alloc_set_hook(NULL, NULL);
        assert_int_equal(err, NX_ERR_NOMEM);
        assert_int_equal(owner, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_of_a_partition_are_distinct),
        cmocka_unit_test(members_fewer_than_rf_leave_none),
        cmocka_unit_test(input_out_of_range_is_invalid),
        cmocka_unit_test(partitions_spread_as_evenly_as_chance_allows),
        cmocka_unit_test(order_of_first_owner_is_spread_too),
        cmocka_unit_test(weights_set_the_shares),
        cmocka_unit_test(adding_a_member_moves_its_share_and_nothing_else),
        cmocka_unit_test(share_moved_to_a_new_member_is_one_nth),
        cmocka_unit_test(zones_hold_one_copy_each_while_they_suffice),
        cmocka_unit_test(order_of_the_list_does_not_matter),
        cmocka_unit_test(placement_is_the_one_clusters_were_built_with),
        cmocka_unit_test(large_ring_is_placed_quickly),
        cmocka_unit_test(owners_and_next_owners_are_those_of_their_kinds),
        cmocka_unit_test(writers_hold_the_owners_of_every_mixture),
        cmocka_unit_test(writers_are_owners_of_some_mixture),
        cmocka_unit_test(write_is_safe_when_no_mixture_misses_it),
        cmocka_unit_test(large_ring_with_movers_is_placed_quickly),
        cmocka_unit_test(allocation_failing_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
