// The list of pictures. Only cards on and near the screen are in the document, in the order of the
// list; a card that has scrolled away is reused for another picture.

const GAP_PX = 14; // between cards
const ROWS_BEYOND = 1; // kept above and below the screen
const DRAW_MS = 6; // of each frame, for thumbnails and heat
const MAX_MOVE = 0.5; // screens per frame; nothing is drawn while the list scrolls faster

class Cards {
  /** open(position): shows the picture there in detail. */
  constructor(list, bar, open) {
    this.list = list;
    this.bar = bar;
    this.order = [];
    this.cards = new Map(); // those in the document, by position
    this.spare = [];
    this.active = 0; // the position that the Tab key reaches
    this.open = open;
    this.most = pictures.rows.reduce((most, count) => Math.max(most, count), 1);
    new ResizeObserver(() => this.resized()).observe(list);
    addEventListener("scroll", () => this.update(), { passive: true });
    addEventListener("resize", () => this.resized());
    list.addEventListener("keydown", (event) => this.handleKey(event));
    list.addEventListener("focusin", () => (this.hasFocus = true));
    list.addEventListener("focusout", () => (this.hasFocus = false));
  }

  /** Shows other pictures, from the first on. */
  show(order) {
    this.order = order;
    this.active = 0;
    this.layOut();
    const top = this.list.getBoundingClientRect().top - this.barHeight();
    if (top < 0) scrollBy(0, top - GAP_PX);
    this.refill();
  }

  resized() {
    const { clientWidth } = this.list;
    if (clientWidth === this.width && innerHeight === this.viewHeight) return;
    const first = this.columns ? this.positionAtTop() : 0;
    const wasFurther = this.list.getBoundingClientRect().top < this.barHeight();
    this.layOut();
    if (wasFurther) this.scrollTo(first);
    this.refill();
  }

  /** Computes the size of cards and the number of columns. */
  layOut() {
    const { list, most } = this;
    this.width = list.clientWidth;
    this.viewHeight = innerHeight;
    const isNarrow = this.width < 560;
    const [padding, between] = isNarrow ? [10, 6] : [14, 10];
    const perLine = Math.min(most, isNarrow ? 3 : 6);
    const least = perLine * (perLine === 1 ? 250 : 165);
    this.columns = Math.max(1, Math.floor((this.width + GAP_PX) / (least + 2 * padding + GAP_PX)));
    const card = Math.floor((this.width - (this.columns - 1) * GAP_PX) / this.columns);
    const part = Math.floor((card - 2 * padding - 2 - (perLine - 1) * between) / perLine);
    this.size = { width: part, whole: card - 2 * padding - 2, height: Math.round(Math.min(part * 0.75, 260)) };
    const lines = Math.ceil(most / perLine);
    const outcome = HAS_LABELS ? (isNarrow ? 36 : 18) : 0;
    const texts = (isNarrow ? 116 : 98) + outcome; // the height of a network's title, class, probability, outcome and where
    const isWrapped = HAS_LABELS && most > 1 && card < 640; // the tags
    list.classList.toggle("wrapped", isWrapped);
    const heading = isWrapped ? 90 : 62;
    this.cardWidth = card;
    this.cardHeight = 2 * padding + 2 + heading + lines * (this.size.height + texts) + (lines - 1) * between;
    const style = list.style;
    style.setProperty("--card-width", `${card}px`);
    style.setProperty("--card-height", `${this.cardHeight}px`);
    style.setProperty("--padding", `${padding}px`);
    style.setProperty("--between", `${between}px`);
    style.setProperty("--per-line", perLine);
    style.setProperty("--frame", `${this.size.height}px`);
    style.setProperty("--texts", `${texts}px`);
    const down = Math.ceil(this.order.length / this.columns);
    style.height = `${Math.max(0, down * (this.cardHeight + GAP_PX) - GAP_PX)}px`;
  }

  barHeight() {
    return getComputedStyle(this.bar).position === "sticky" ? this.bar.offsetHeight : 0;
  }

  positionAtTop() {
    const above = this.barHeight() - this.list.getBoundingClientRect().top;
    return Math.max(0, Math.round(above / (this.cardHeight + GAP_PX)) * this.columns);
  }

  topOf(position) {
    return Math.floor(position / this.columns) * (this.cardHeight + GAP_PX);
  }

  scrollTo(position) {
    const top = this.list.getBoundingClientRect().top + this.topOf(position);
    scrollBy(0, top - this.barHeight() - GAP_PX);
  }

  refill() {
    const { hasFocus } = this;
    for (const position of [...this.cards.keys()]) this.putAway(position);
    this.update();
    if (hasFocus) this.cards.get(this.active)?.button.focus({ preventScroll: true });
  }

  putAway(position) {
    this.spare.push(this.cards.get(position));
    this.cards.delete(position);
  }

  /** Keeps only the cards on and near the screen, and the one with the focus. */
  update() {
    if (!this.columns) return;
    const { top } = this.list.getBoundingClientRect();
    this.top = top;
    const high = this.cardHeight + GAP_PX;
    const row = Math.max(0, Math.floor(-top / high) - ROWS_BEYOND);
    const end = Math.max(0, Math.ceil((this.viewHeight - top) / high) + ROWS_BEYOND);
    const positions = [];
    for (let at = row * this.columns; at < Math.min(end * this.columns, this.order.length); at++) positions.push(at);
    if (positions.length && !positions.includes(this.active)) {
      if (!this.hasFocus) this.active = Math.min(this.positionAtTop(), this.order.length - 1);
      else if (this.active < positions[0]) positions.unshift(this.active);
      else positions.push(this.active);
    }
    const needed = new Set(positions);
    for (const position of [...this.cards.keys()]) if (!needed.has(position)) this.putAway(position);
    let next = this.list.firstElementChild;
    for (const position of positions) {
      let card = this.cards.get(position);
      if (!card) {
        card = this.spare.pop() ?? new Card((at) => this.open(at));
        if (card.element === next) next = next.nextElementSibling;
        card.show(this.order[position], position, this.order.length, this.size);
        card.element.style.translate = `${(position % this.columns) * (this.cardWidth + GAP_PX)}px ${this.topOf(position)}px`;
        this.cards.set(position, card);
        this.list.insertBefore(card.element, next);
      } else next = card.element.nextElementSibling; // not moved, because it would lose the focus
      card.button.tabIndex = position === this.active ? 0 : -1;
    }
    for (const card of this.spare) card.element.remove();
    this.drawSoon();
  }

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.drawSome();
    });
  }

  /** Draws cards for a part of a frame, those on the screen first; the rest in later frames. Reads
   * nothing of the layout, which the browser would have to compute first. */
  drawSome() {
    const start = performance.now();
    const waiting = [...this.cards.values()].filter((card) => !card.isDrawn);
    const moved = Math.abs(this.top - this.drawnAt);
    this.drawnAt = this.top;
    if (!waiting.length) return;
    if (!(moved > MAX_MOVE * this.viewHeight)) {
      const isOnScreen = ({ position }) => {
        const top = this.top + this.topOf(position);
        return top < this.viewHeight && top > -this.cardHeight;
      };
      const visible = waiting.filter(isOnScreen);
      for (const card of visible.length ? visible : waiting) {
        if (!card.draw() && document.readyState !== "loading") card.isDrawn = true; // the file is cut off
        if (performance.now() - start > DRAW_MS) break;
      }
    }
    this.drawSoon();
  }

  handleKey(event) {
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns,
      ArrowDown: this.columns,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    const position = this.active + step;
    const last = this.order.length - 1;
    if (Math.abs(step) > 1 && Number.isFinite(step) && (position < 0 || position > last)) return;
    this.focus(Math.min(Math.max(position, 0), last));
  }

  focus(position) {
    this.active = position;
    const { top } = this.list.getBoundingClientRect();
    const above = top + this.topOf(position) - this.barHeight() - GAP_PX;
    const below = top + this.topOf(position) + this.cardHeight + GAP_PX - innerHeight;
    if (above < 0) scrollBy(0, above);
    else if (below > 0) scrollBy(0, Math.min(below, above));
    this.hasFocus = true;
    this.update();
    this.cards.get(position)?.button.focus({ preventScroll: true });
  }
}
