/* The vector types an instruction-set file and vector.h share. VB: bytes of a register. */
#include <stdint.h>

typedef uint8_t v_u8 __attribute__((vector_size(VB)));
typedef uint16_t v_u16 __attribute__((vector_size(VB)));
typedef int16_t v_i16 __attribute__((vector_size(VB)));
typedef int32_t v_i32 __attribute__((vector_size(VB)));
typedef float v_f32 __attribute__((vector_size(VB)));
