// Asks the browser for a passkey when a form with data-passkey is sent, and sends the form with the answer.
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    const field = form.elements.namedItem("passkey");
    if (field.value) return;
    event.preventDefault();
    const { publicKey } = JSON.parse(form.dataset.question);
    try {
      const credential =
        form.dataset.passkey === "create"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
      field.value = JSON.stringify(credential.toJSON());
    } catch {
      tell(form, form.dataset.trouble);
      return;
    }
    form.requestSubmit();
  });
}

function tell(form, text) {
  const known = form.querySelector(".error") ?? document.createElement("p");
  known.className = "error";
  known.setAttribute("role", "alert");
  known.textContent = text;
  form.prepend(known);
}
