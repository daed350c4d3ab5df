# csrc/oxillama.h again, name for name; each area adds its part.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "oxillama.h" nogil:
    ctypedef enum oxi_status:
        OXI_OK
        OXI_ERR_ARGUMENT
        OXI_ERR_IO
        OXI_ERR_FORMAT
        OXI_ERR_UNSUPPORTED
        OXI_ERR_NOMEM
        OXI_ERR_KV_FULL
        OXI_ERR_CANCELLED
        OXI_ERR_NUMERIC

    ctypedef struct oxi_error:
        oxi_status code
        int sys_errno
        char text[480]

    oxi_status oxi_fail(oxi_error *err, oxi_status code, const char *fmt, ...)
