/** End the timer that Gradio 6 shows while a page is loading. It goes on in every frame when it is
 * no longer there, and takes a twentieth of a core for as long as the page is open. Needless once
 * `tests/page/test_instant.py` passes without it. */
export function endLoadingTimer() {
  const lastFrame = () => {
    const frame = requestAnimationFrame(() => {});
    cancelAnimationFrame(frame);
    return frame;
  };
  // The timer asks for the time, and then for the next frame.
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
