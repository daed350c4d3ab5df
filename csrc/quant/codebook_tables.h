/* Private to quant/. */
#ifndef OXI_CODEBOOK_TABLES_H
#define OXI_CODEBOOK_TABLES_H

#include <stdint.h>

extern const uint16_t oxi_codebook_iq2_xxs[256];
extern const uint16_t oxi_codebook_iq2_xs[512];
extern const uint16_t oxi_codebook_iq2_s[1024];
extern const uint16_t oxi_codebook_iq3_xxs[256];
extern const uint16_t oxi_codebook_iq3_s[512];
extern const uint16_t oxi_codebook_iq1[2048];

#endif
