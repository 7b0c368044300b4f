namespace Moshpit.Server.Buffers;

/// <summary>A member of a <see cref="SlotTable{T}"/>.</summary>
internal interface ISlotted
{
    /// <summary>Where it stands; the table's alone to read and to set.</summary>
    int Slot { get; set; }
}
