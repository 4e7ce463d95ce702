// The visitor's camera, and its newest frame.

import { h } from "../core/elements.js";

// 4 : 3, because networks see a square of the picture: in a wider one, the maps would be smaller.
const WANTED = { width: { ideal: 960 }, height: { ideal: 720 }, facingMode: { ideal: "environment" } };
const KEPT_QUALITY = 0.95;

const INSECURE = "The camera needs https, or a browser on the machine that runs the app.";
const NOT_LENT = "The site that embeds this page does not let it use the camera. Open the page in a tab of its own.";
const PROBLEMS = {
  NotFoundError: "No camera was found. Connect one and try again.",
  NotAllowedError: "The browser does not let this page use the camera. Allow it in the address bar, and try again.",
  NotReadableError: "The camera cannot be used: another program may be using it. Close that program and try again.",
};
const LOST = "The camera no longer gives a picture. Connect it, or allow it again, and try again.";
const PAUSED = "The camera is paused. It may be covered, or another program may be using it.";
const NO_CAMERA = "No camera is available here. Choose a picture instead.";

/** error: of `getUserMedia`. */
export const cameraProblem = ({ name }) => PROBLEMS[name] ?? NO_CAMERA;

/** A frame at the camera's size. takenAt: when it was taken, on the clock of `performance.now()`. */
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

  take(video) {
    const { videoWidth: width, videoHeight: height } = video;
    if (this.width !== width || this.height !== height) Object.assign(this.canvas, { width, height });
    this.takenAt = performance.now();
    this.canvas.getContext("2d").drawImage(video, 0, 0);
  }

  /** The frame as a JPEG file at the camera's size, for use as the photo. */
  async file(name) {
    const blob = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", KEPT_QUALITY));
    return new File([blob], name, { type: blob.type });
  }
}

export class Camera {
  /** tell(text, isOver): that no more pictures come; isOver: unless it is started again. */
  constructor(tell) {
    this.tell = tell;
    this.video = h("video", { class: "camera", playsinline: true, tabindex: "-1", "aria-hidden": "true" });
    this.video.muted = true; // the attribute alone is only a default
    this.frames = [new Frame(), new Frame(), new Frame()]; // reused: new ones would leave megabytes of garbage each
  }

  /** Starts the camera. Throws an Error with a sentence for people. */
  async start() {
    if (!isSecureContext) throw new Error(INSECURE);
    const policy = document.permissionsPolicy ?? document.featurePolicy;
    if (policy && !policy.allowsFeature("camera")) throw new Error(NOT_LENT);
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(NO_CAMERA);
    const opening = (this.opening = {}); // `stop` or another `start` may come while the browser asks for permission
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: WANTED });
    } catch (error) {
      throw new Error(cameraProblem(error));
    }
    if (this.opening !== opening) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    for (const track of stream.getTracks()) {
      track.onended = () => this.tell(LOST, true);
      track.onmute = () => this.tell(this.note, false);
    }
    this.video.srcObject = stream;
    this.taken = 0;
    await this.video.play().catch(() => {}); // fails if the camera was stopped meanwhile
  }

  stop() {
    this.opening = null;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = this.video.srcObject = null;
  }

  /** Resolves to the newest frame, once there is one that was not taken before. isNeeded(frame): whether an earlier
   * frame must not be overwritten; true for two at most. */
  async take(isNeeded) {
    const { video } = this;
    // Polls because a callback for every camera frame would each time make the browser lay out the page.
    while (!video.videoWidth || this.count === this.taken) await nextFrame(video);
    this.taken = this.count;
    const frame = this.frames.find((one) => !isNeeded(one));
    frame.take(video);
    return frame;
  }

  /** A sentence while the camera is paused; otherwise "". */
  get note() {
    return this.stream?.getTracks().some(({ muted }) => muted) ? PAUSED : "";
  }

  get count() {
    return this.video.getVideoPlaybackQuality().totalVideoFrames;
  }
}

const nextFrame = (video) =>
  new Promise((resolve) => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve)));
