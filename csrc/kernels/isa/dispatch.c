/* Chooses the kernels, once, on the first call: the best the processor has, or the one asked for. */
#include "kernels/attention/fetching.h"
#include "kernels/isa/cpu.h"
#include "kernels/isa/isa.h"
#include "kernels/vec/vec.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Slowest first. Names are FAMILY or FAMILY-VARIANT. */
static const oxi_kernels *const built[] = {
    &oxi_kernels_generic,
#if defined(OXI_GENERIC_ONLY)
#elif defined(__x86_64__)
    &oxi_kernels_avx2_base, &oxi_kernels_avx2_vnni, &oxi_kernels_avx512_base, &oxi_kernels_avx512_vnni,
    &oxi_kernels_avx512_vbmi, &oxi_kernels_avx512_bf16,
#elif defined(__aarch64__)
    &oxi_kernels_neon_dot, &oxi_kernels_neon_i8mm,
#endif
};
enum { N_BUILT = sizeof built / sizeof *built };

/* The project's only global: filled once, constant afterwards. */
static oxi_kernels resolved[N_BUILT];
static const char *names[N_BUILT + 1];
static int n_available;
static bool one_run; /* asked once: the question leaves a virtual machine, which takes microseconds */
static const oxi_kernels *current = &oxi_kernels_generic;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Every isa the CPU can execute, its gaps filled from the isa below. */
static void resolve(void)
{
    const uint64_t has = oxi_cpu_features();
    one_run = oxi_cpu_wants_one_run();
    for (int i = 0; i < N_BUILT; i++) {
        if (built[i]->needs & ~has) continue;
        oxi_kernels *kernels = &resolved[n_available], *below = kernels - (n_available > 0);
        *kernels = *built[i];
        for (int a = 0; a < OXI_ACT_COUNT; a++)
            if (!kernels->quantize[a]) kernels->quantize[a] = below->quantize[a];
        for (int p = 0; p < OXI_PACK_COUNT; p++)
            if (!kernels->matmul[p]) kernels->matmul[p] = below->matmul[p];
        if (!kernels->decoder) kernels->decoder = below->decoder;
        if (!kernels->vec) kernels->vec = below->vec;
        if (!kernels->probe_dot) kernels->probe_dot = below->probe_dot;
        if (!kernels->probe_read) kernels->probe_read = below->probe_read;
        names[n_available++] = kernels->name;
    }
}

const char *const *oxi_kernels_available(void)
{
    pthread_once(&once, resolve);
    return names;
}

static bool names_family(const char *family, const char *name)
{
    const size_t n = strlen(family);
    return strncmp(name, family, n) == 0 && (name[n] == '\0' || name[n] == '-');
}

const oxi_kernels *oxi_kernels_find(const char *name)
{
    pthread_once(&once, resolve);
    for (int i = n_available - 1; i >= 0; i--)
        if (strcmp(resolved[i].name, name) == 0) return &resolved[i];
    for (int i = n_available - 1; i >= 0; i--)
        if (names_family(name, resolved[i].name)) return &resolved[i];
    return NULL;
}

oxi_status oxi_kernels_init(const char *forced, oxi_error *err)
{
    pthread_once(&once, resolve);
    if (!forced || !*forced) {
        current = &resolved[n_available - 1];
        return OXI_OK;
    }
    const oxi_kernels *kernels = oxi_kernels_find(forced);
    if (kernels) {
        current = kernels;
        return OXI_OK;
    }
    char list[256] = "";
    size_t at = 0;
    for (int i = 0; i < n_available && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", names[i]);
    bool known = false;
    for (int i = 0; i < N_BUILT; i++)
        known |= names_family(forced, built[i]->name) || strcmp(forced, built[i]->name) == 0;
    return oxi_fail(err, OXI_ERR_ARGUMENT, "OXILLAMA_ISA=%.60s: %s; available here: %s", forced,
                    known ? "this processor cannot execute it" : "no such instruction set in this build", list);
}

const oxi_kernels *oxi_kernels_get(void) { return current; }

const char *oxi_kernels_name(void) { return current->name; }

oxi_cache_type oxi_cache_quick(void) { return current->vec->quick_codes ? OXI_CACHE_I16 : OXI_CACHE_F16; }

const oxi_reading *oxi_kernels_reading(bool several)
{
    pthread_once(&once, resolve);
    if (!one_run) return &oxi_readings[OXI_READING_TURNS];
    return &oxi_readings[several ? OXI_READING_TURNS_OF_SIX : OXI_READING_ONE_RUN];
}

const oxi_fetching *oxi_kernels_fetching(void)
{
    pthread_once(&once, resolve);
    return &oxi_fetchings[one_run ? OXI_FETCHING_ONE_RUN : OXI_FETCHING_TURNS];
}
