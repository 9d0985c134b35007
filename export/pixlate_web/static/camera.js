// A picture from the camera.

import { make } from "./shared.js";

// A PNG file of what the camera sees when the button is pressed; null where the dialog is closed instead.
export async function photograph() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 4096 }, height: { ideal: 4096 } } });
  const video = make("video", { srcObject: stream, autoplay: true, muted: true, playsInline: true });
  const shoot = make("button", { type: "button", className: "px-small", disabled: true }, "Take the picture");
  const close = make("button", { type: "button", className: "px-small" }, "Close");
  const dialog = make("dialog", { className: "px-camera" }, video, make("div", { className: "px-row" }, shoot, close));
  video.addEventListener("loadeddata", () => { shoot.disabled = false; });
  document.body.append(dialog);
  dialog.showModal();
  const taken = await new Promise((done) => {
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => done(null));
    shoot.addEventListener("click", () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => done(new File([blob], "camera.png", { type: "image/png" })), "image/png");
    });
  });
  stream.getTracks().forEach((track) => track.stop());
  dialog.remove();
  return taken;
}
