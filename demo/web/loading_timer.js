/** Ends the timer that Gradio 6 shows while a page is loading. It keeps running in every frame after it has
 * disappeared, and takes a twentieth of a core while the page is open. Can be removed once
 * `tests/page/test_instant.py` passes without it. */
export function endLoadingTimer() {
  const lastFrame = () => {
    const frame = requestAnimationFrame(() => {});
    cancelAnimationFrame(frame);
    return frame;
  };
  // The timer reads the time, then requests the next frame: that request is found by its number and cancelled.
  performance.now = () => {
    if (new Error().stack.includes("statustracker")) {
      delete performance.now;
      const before = lastFrame();
      queueMicrotask(() => {
        if (lastFrame() === before + 2) cancelAnimationFrame(before + 1);
      });
    }
    return Performance.prototype.now.call(performance);
  };
  requestAnimationFrame(() => requestAnimationFrame(() => delete performance.now));
}
