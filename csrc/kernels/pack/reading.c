#include "kernels/pack/reading.h"

const oxi_reading oxi_readings[OXI_READING_COUNT] = {
    [OXI_READING_TURNS] = {"8-turns-l1", OXI_MAX_TURNS, true, 1, 0, 0},
    {"8-turns-l2", OXI_MAX_TURNS, true, 2, 0, 0},
    {"4-turns-l2", 4, true, 2, 0, 0},
    {"1-run", 1, false, 0, 0, 0},
    [OXI_READING_ONE_RUN] = {"1-run-l2-1k", 1, false, 2, 1024, 0},
    {"1-run-l2-2k", 1, false, 2, 2048, 0},
    {"1-run-l2-4k", 1, false, 2, 4096, 0},
    [OXI_READING_TURNS_OF_SIX] = {"8-turns-l2-6", OXI_MAX_TURNS, true, 2, 0, 6},
};
