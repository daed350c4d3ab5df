/* The vector types an instruction-set file and vector.h share. VB: bytes of a register. */
#include <stdint.h>

typedef uint8_t v_u8 __attribute__((vector_size(VB)));
typedef uint16_t v_u16 __attribute__((vector_size(VB)));
typedef int16_t v_i16 __attribute__((vector_size(VB)));
typedef int32_t v_i32 __attribute__((vector_size(VB)));
typedef float v_f32 __attribute__((vector_size(VB)));

#define LANES (VB / 4)

typedef uint8_t v_lanes __attribute__((vector_size(LANES))); /* a byte per lane */
typedef uint16_t v_lanes_u16 __attribute__((vector_size(LANES)));
typedef uint8_t v_half __attribute__((vector_size(VB / 2))); /* two bytes per lane */
typedef uint16_t v_half_u16 __attribute__((vector_size(VB / 2)));
