// Forms that a passkey answers: what the browser gives goes into the form, and the form is sent. Without scripts they stay hidden.
const told = document.getElementById("told");

for (const button of document.querySelectorAll("button[data-passkey]")) {
  const form = button.form;
  button.hidden = false;
  button.addEventListener("click", async () => {
    told.textContent = "One moment …";
    try {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(form.elements.options.value));
      const credential = await navigator.credentials.get({ publicKey });
      form.elements.passkey.value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (error) {
      told.textContent = error.name === "NotAllowedError" ? "The passkey was not used." : error.message;
    }
  });
}
