"use strict";
// The 3D viewer: one NiiVue in one canvas, which moves to the case that is opened. Its script runs only then.
const caseViewer = (() => {
  const HEADER = 352;
  // Difference of reference and prediction: missed, invented, other label.
  const DIFFERENCE = { R: [0, 86, 213, 240], G: [0, 180, 94, 228], B: [0, 233, 0, 66], A: [0, 255, 255, 255] };
  // Arrow keys: steps of the crosshair in voxels.
  const MOVES = {
    ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], PageUp: [0, 1, 0], PageDown: [0, -1, 0],
  };
  const DIFFERENCES = ["", "only in the reference", "only in the prediction", "another label"];
  let nv = null, starting = null, stage = null, canvas = null;

  const decode = async (text) => {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const hasWebGL = () => {
    try {
      return document.createElement("canvas").getContext("webgl2") !== null;
    } catch {
      return false;
    }
  };

  const start = async () => {
    const code = document.getElementById("viewer-code");
    if (!code || typeof DecompressionStream === "undefined" || !hasWebGL()) return null;
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await decode(code.textContent));
    document.head.append(script);
    stage = document.createElement("div");
    stage.className = "stage";
    canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-label", "Slices and surface of the case. Arrow, page up and page down keys scroll.");
    stage.append(canvas);
    document.body.append(stage);
    const made = new niivue.Niivue({
      logLevel: "error", backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.7], crosshairWidth: 0.5, crosshairWidthUnit: "percent",
      isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: 1, dragAndDropEnabled: false, loadingText: "",
      show3Dcrosshair: false, isColorbar: false,
    });
    await made.attachToCanvas(canvas);
    canvas.addEventListener("keydown", (event) => {
      const move = MOVES[event.key];
      if (!move) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      made.moveCrosshairInVox(...move);
    }, true);
    return made;
  };

  // The blocks of a case: the scan, the first label map, the others as differences from it, the uncertainty.
  const unpack = async (holder) => {
    const { blocks, colours, values, middle } = JSON.parse(holder.dataset.pack);
    const content = await decode(holder.textContent);
    let at = 0, first = null;
    const parts = blocks.map(([title, kind, length, set]) => {
      const bytes = content.slice(at, at + length);
      at += length;
      if (kind === "labels") {
        if (first) for (let i = HEADER; i < length; i++) bytes[i] ^= first[i];
        else first = bytes;
      }
      return { title, kind, set, bytes };
    });
    return { parts, colours, values, middle };
  };

  const compare = (reference, prediction) => {
    const bytes = reference.slice();
    for (let i = HEADER; i < bytes.length; i++) {
      const a = reference[i], b = prediction[i];
      bytes[i] = a === b ? 0 : b === 0 ? 1 : a === 0 ? 2 : 3;
    }
    return bytes;
  };

  const listLayers = ({ parts }) => {
    const layers = parts.filter((part) => part.kind !== "scan");
    const reference = parts.find((part) => part.set === -1 && part.kind === "labels");
    const sets = parts.filter((part) => part.set >= 0);
    if (reference) for (const set of sets) {
      const title = sets.length > 1 ? `difference, ${set.title}` : "difference";
      layers.push({ title, kind: "difference", set: set.set, bytes: compare(reference.bytes, set.bytes) });
    }
    return layers;
  };

  const colourLabels = (image, colours, names) => {
    const rgb = colours.map((code) => [1, 3, 5].map((place) => parseInt(code.slice(place, place + 2), 16)));
    image.setColormapLabel({
      R: [0, ...rgb.map((one) => one[0])], G: [0, ...rgb.map((one) => one[1])], B: [0, ...rgb.map((one) => one[2])],
      A: [0, ...rgb.map(() => 255)], I: [0, ...rgb.map((_, index) => index + 1)], labels: ["", ...names],
    });
  };

  const addVolume = async (layer, colours, values, shown) => {
    const image = await niivue.NVImage.new(layer.bytes.buffer, `${layer.kind}.nii`);
    if (layer.kind === "labels") colourLabels(image, colours, values.map(String));
    if (layer.kind === "difference") {
      image.setColormapLabel({ ...DIFFERENCE, I: [0, 1, 2, 3], labels: DIFFERENCES });
    }
    if (layer.kind === "entropy") image._colormap = "inferno";
    image.opacity = shown;
    nv.addVolume(image);
  };

  const element = (tag, text = "", name = "") => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };

  const addTools = (mount, layers, names) => {
    const tools = element("div", "", "tools");
    const strength = element("input");
    Object.assign(strength, { type: "range", min: "0.1", max: "1", step: "0.05", value: "0.5" });
    const key = element("span", "", "key-of-differences");
    DIFFERENCES.slice(1).forEach((text, index) => key.append(element("i", "", `differ d${index + 1}`), element("small", text)));
    const apply = () => {
      layers.forEach((layer, index) => nv.setOpacity(index + 1, layer.box.checked ? Number(strength.value) : 0));
      key.hidden = !layers.some((layer) => layer.kind === "difference" && layer.box.checked);
    };
    for (const layer of layers) {
      const label = element("label");
      layer.box = element("input");
      layer.box.type = "checkbox";
      layer.box.checked = layer.shown;
      layer.box.addEventListener("change", apply);
      label.append(layer.box, element("bdi", layer.title));
      tools.append(label);
    }
    const view = element("select");
    view.setAttribute("aria-label", "View");
    const kinds = [["planes and surface", "sliceTypeMultiplanar"], ["axial", "sliceTypeAxial"], ["coronal", "sliceTypeCoronal"],
      ["sagittal", "sliceTypeSagittal"], ["surface", "sliceTypeRender"]];
    for (const [text, value] of kinds) view.append(Object.assign(element("option", text), { value }));
    view.addEventListener("change", () => {
      // The surface of the structures is inside of the scan.
      nv.setOpacity(0, view.value === "sliceTypeRender" ? 0 : 1);
      nv.setSliceType(nv[view.value]);
    });
    strength.addEventListener("input", apply);
    const label = element("label");
    label.append("strength", strength);
    tools.append(label, view, key);
    const where = element("p", "Wheel, drag or arrow keys scroll; a drag turns the surface.", "hint where");
    nv.onLocationChange = ({ values }) => {
      // In an oblique grid NiiVue's own place is that of an upright one.
      const mm = nv.frac2mm(nv.scene.crosshairPos, 0, true);
      const place = ["x", "y", "z"].map((axis, index) => `${axis} ${mm[index].toFixed(1)}`).join(", ");
      const said = layers.flatMap((layer, index) => {
        const number = Math.round(values[index + 1]?.value ?? 0);
        return layer.kind === "labels" && number ? [`${layer.title}: ${names[number - 1]}`] : [];
      });
      where.textContent = [`${place} mm`, ...said].join(" · ");
    };
    mount.append(tools, where);
    apply();
  };

  const show = async (details, nameOf) => {
    const mount = details.querySelector(".mount");
    const holder = details.querySelector(".pack");
    if (!mount || mount.dataset.state) return;
    mount.hidden = false;
    mount.dataset.state = "starting";
    starting ??= start();
    nv = await starting;
    if (!nv) {
      mount.dataset.state = "absent";
      mount.append(element("p", "This browser has no WebGL 2, which the 3D viewer needs. The pictures above show the same case.", "hint"));
      return;
    }
    for (const other of document.querySelectorAll(".mount[data-state='ready']")) close(other);
    const pack = await unpack(holder);
    if (!details.open) return close(mount);
    mount.prepend(stage);
    const layers = listLayers(pack);
    const first = layers.find((layer) => layer.set >= 0 && layer.kind === "labels") ?? layers[0];
    for (const layer of layers) layer.shown = layer === first;
    while (nv.volumes.length) nv.removeVolume(nv.volumes[nv.volumes.length - 1]);
    const scan = pack.parts.find((part) => part.kind === "scan");
    await addVolume(scan, pack.colours, pack.values, 1);
    for (const layer of layers) await addVolume(layer, pack.colours, pack.values, layer.shown ? 0.5 : 0);
    addTools(mount, layers, pack.values.map(nameOf));
    nv.setSliceType(nv.sliceTypeMultiplanar);
    nv.scene.crosshairPos = nv.mm2frac(pack.middle, 0, true);
    nv.resizeListener?.();
    nv.drawScene();
    mount.dataset.state = "ready";
  };

  const close = (mount) => {
    if (stage && mount.contains(stage)) stage.remove();
    mount.replaceChildren();
    mount.hidden = true;
    delete mount.dataset.state;
  };

  const leave = (details) => {
    const mount = details.querySelector(".mount[data-state]");
    if (mount) close(mount);
  };

  return { show, leave, possible: () => document.getElementById("viewer-code") !== null };
})();
