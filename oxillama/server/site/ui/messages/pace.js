// Work that is done again and again while an answer grows, and takes longer the longer the answer is.

const REST = 4; // times as long as the work itself: at most a fifth of the time goes into it
const LONGEST = 2000; // ms of rest: a computer that slept in the middle of the work must not be made up for

/** A function that has `work` done soon, once per frame at most however often it is called. */
export function paced(work) {
  let isAsked = false;
  let rest = 0; // ms
  const run = () => {
    const began = performance.now();
    isAsked = false;
    work();
    rest = Math.min(LONGEST, REST * (performance.now() - began));
  };
  return () => {
    if (isAsked) return;
    isAsked = true;
    setTimeout(() => requestAnimationFrame(run), rest);
  };
}
