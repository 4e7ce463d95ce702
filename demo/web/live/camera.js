// The visitor's camera: its newest frame, whole and as small as the networks need it.

import { h } from "../core/elements.js";

const WANTED = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: { ideal: "environment" } };
const SENT_SIDE_PX = 336; // of the shorter side: what the networks crop from
const SENT_QUALITY = 0.85;
const KEPT_QUALITY = 0.95;

const INSECURE = "The camera needs https, or the machine that the app runs on.";
const NOT_LENT = "The site that shows this page in a frame does not lend it the camera. Open it in a tab of its own.";
const PROBLEMS = {
  NotFoundError: "No camera was found. Connect one and try again.",
  NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address, and try again.",
  NotReadableError: "The camera cannot be used: another program may have it. Close that and try again.",
};
const NO_CAMERA = "No camera can be used here.";

const encoded = (canvas, quality) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));

/** A frame as the camera gave it. lightAt: when, on the clock of `performance.now()`. */
class Frame {
  constructor() {
    this.canvas = h("canvas");
  }

  get width() {
    return this.canvas.width;
  }

  get height() {
    return this.canvas.height;
  }

  take(video, lightAt) {
    const { videoWidth: width, videoHeight: height } = video;
    if (this.width !== width || this.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").drawImage(video, 0, 0);
    this.lightAt = lightAt;
  }

  /** As large as the camera gave it, for a photo. */
  file(name) {
    return encoded(this.canvas, KEPT_QUALITY).then((blob) => new File([blob], name, { type: blob.type }));
  }
}

export class Camera {
  constructor() {
    this.video = h("video", { class: "camera", muted: true, playsinline: true, tabindex: "-1", "aria-hidden": "true" });
    this.video.muted = true; // the attribute alone is only a default
    this.frames = [new Frame(), new Frame()];
    this.small = h("canvas");
  }

  get isOn() {
    return Boolean(this.stream);
  }

  /** Throws an Error with a sentence for people. */
  async start() {
    if (!isSecureContext) throw new Error(INSECURE);
    const policy = document.permissionsPolicy ?? document.featurePolicy;
    if (policy && !policy.allowsFeature("camera")) throw new Error(NOT_LENT);
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(NO_CAMERA);
    const asked = (this.asked = {}); // it may be stopped, or started anew, while the person is asked
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: WANTED });
    } catch (error) {
      throw new Error(PROBLEMS[error.name] ?? NO_CAMERA);
    }
    if (this.asked !== asked) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    this.video.srcObject = stream;
    this.watch();
    await this.video.play().catch(() => {}); // it was stopped meanwhile
  }

  stop() {
    this.asked = null;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = this.video.srcObject = null;
    this.newest = null;
  }

  /** Notes when each frame was caught by the camera; the newest one is what the video shows. */
  watch() {
    const { stream, video } = this;
    const note = (now, { captureTime } = {}) => {
      if (this.stream !== stream) return;
      this.newest = captureTime ?? now;
      this.onFrame?.();
      next();
    };
    const next = () => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(note) : requestAnimationFrame(note));
    next();
  }

  /** The newest frame, once there is one that was not taken before, and a JPEG of it that is as large as the networks
   * need. shown: the frame that is still needed. */
  async take(shown) {
    while (!this.newest) await new Promise((resolve) => (this.onFrame = resolve));
    const frame = this.frames.find((one) => one !== shown);
    frame.take(this.video, this.newest);
    this.newest = null;
    const { width, height, canvas } = frame;
    const scale = Math.min(1, SENT_SIDE_PX / Math.min(width, height));
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
    if (this.small.width !== size.width || this.small.height !== size.height) Object.assign(this.small, size);
    const context = this.small.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "medium";
    context.drawImage(canvas, 0, 0, size.width, size.height);
    return { frame, jpeg: await encoded(this.small, SENT_QUALITY) };
  }
}
