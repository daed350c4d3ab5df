/* Runs a program. */
#ifndef OXI_EXEC_H
#define OXI_EXEC_H

/* One thread's pass through the step: an oxi_job whose argument is the runner. */
void oxi_step_run(void *runner, int thread, int n_threads);

#endif
